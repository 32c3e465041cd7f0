"""What a check finds: of each tensor, of each layer, and of the net."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinynet.check.differences import Comparison
from tinynet.common.arrays import Shape
from tinynet.nn.graph import Place


@dataclass
class Tensor:
    """An input or a parameter, and what was found of its gradient.

    Parameters
    ----------
    name
        As in `weight`; an input is x, and one of several x (left).
    shape
        Of the tensor; an input's with its samples.
    alone
        For the layer by itself, with a random gradient of its output.
    whole
        For the loss, through the whole net.
    faults
        What is wrong, as sentences.
    """

    name: str
    shape: Shape
    alone: Comparison | None = None
    whole: Comparison | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """right, wrong or unclear."""
        found = [c.verdict for c in (self.alone, self.whole) if c is not None]
        if self.faults or "wrong" in found:
            return "wrong"
        return "unclear" if "unclear" in found else "right"


@dataclass
class Part:
    """A layer, the loss, or the net's input.

    Parameters
    ----------
    name
        As in `linear1`; `loss`; `input`.
    kind
        Its class.
    place
        Where a layer stands in the config.
    tensors
        Its inputs and parameters.
    faults
        What forward or backward do that they must not, as sentences.
    """

    name: str
    kind: str
    place: Place | None
    tensors: list[Tensor]
    faults: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return not self.faults and all(tensor.verdict == "right" for tensor in self.tensors)

    @property
    def wrong(self) -> bool:
        """Whether there is more than something that cannot be judged."""
        return bool(self.faults) or any(tensor.verdict == "wrong" for tensor in self.tensors)


@dataclass
class Report:
    """What was found.

    Parameters
    ----------
    parts
        The net's input, its layers in the order of the forward pass, and the loss.
    whole
        Whether the net was checked as a whole, which it is if none of its parts is wrong.
    """

    parts: list[Part]
    whole: bool

    @property
    def tensors(self) -> list[tuple[Part, Tensor]]:
        return [(part, tensor) for part in self.parts for tensor in part.tensors]

    @property
    def comparisons(self) -> list[Comparison]:
        return [c for _, tensor in self.tensors for c in (tensor.alone, tensor.whole) if c is not None]

    @property
    def right(self) -> bool:
        return self.whole and all(part.right for part in self.parts)
