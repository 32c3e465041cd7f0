"""A component in words: the equations of its docstring, and how a config writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinynet.common import components
from tinynet.common.components import Component

# `dx = …`, `dw[o, c, k, l] = …` or `dx: …`: how a docstring's sentence about a gradient begins.
GRADIENT = r"d\w+(?:\[[^\]]*\])?(?: =|:)"


@dataclass
class Equations:
    """A component's docstring: the equations of its first line, those of its gradients, and what else it says."""

    forward: list[str]
    backward: list[str]
    notes: str
    source: str

    @classmethod
    def of(cls, component: type[Component]) -> Equations:
        found = components.documentation(component)
        sentences: list[str] = []
        gradients: list[str] = []
        source = ""
        for paragraph in found.body.replace("\n\n", "\0").replace("\n", " ").split("\0"):
            if paragraph.startswith("Source: "):
                source = paragraph.removeprefix("Source: ").removesuffix(".")
            elif not paragraph.startswith("Raises -"):
                for sentence in re.split(r"(?<=\.) +", paragraph):
                    (gradients if re.match(GRADIENT, sentence) else sentences).append(sentence)
        return cls(
            re.split(r"[,;]  +", found.summary) if found.summary != component.__name__ else [],
            [part for text in gradients for part in re.split(rf"[,;] +(?={GRADIENT})", text.removesuffix("."))],
            " ".join(sentences),
            source,
        )


def written(component: Component, everything: bool = False) -> str:
    """A component as a config writes it, but for a layer's name and inputs.

    With `everything` all of its own options, else only those that are not left at their defaults.
    """
    kind = type(component)
    given = {
        option.name: value
        for option in components.options(kind)
        if (value := getattr(component, option.name)) is not None
        if option.own or option.name not in ("name", "inputs")
    }
    return components.written({kind.__name__: given}, _short, everything)


def _short(value: Any) -> str:
    """A number with six digits; a path, which a checked config holds in full, without the folder of the config."""
    if isinstance(value, float):
        return f"{value:g}"
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else str(value)
