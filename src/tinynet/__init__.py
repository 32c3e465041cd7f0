"""tinynet trains small neural networks from one YAML file, in NumPy code that can be read from end to end.

Ten packages, in this order; imports run in this direction only: common, nn, data, config, training, runs, explain,
check, plots, cli. A student reads nn first.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

__version__ = "0.1.0"

# Where the names that are no components live. Modules are imported at the first use of a name.
_HOMES = {
    "load": "config.config",
    "build": "training.experiment",
    "load_checkpoint": "training.experiment",
    "Experiment": "training.experiment",
    "Learner": "training.learner",
    "Loader": "data.loader",
    "Net": "nn.net",
    "Parameter": "nn.parameter",
    "Component": "common.components",
    **dict.fromkeys(("PositiveInt", "NonNegativeInt", "PositiveFloat", "NonNegativeFloat"), "common.annotations"),
    **dict.fromkeys(("Probability", "Share", "FilePath"), "common.annotations"),
    "Layer": "nn.layer",
    "Augmentation": "data.augmentations",
    "Loss": "nn.losses",
    "Optimizer": "nn.optimizers",
    "Schedule": "nn.schedules",
    "Dataset": "data.dataset",
    "Data": "data.dataset",
    "Description": "data.dataset",
    "Split": "data.loader",
    "TinynetError": "common.errors",
    "CheckpointError": "common.errors",
    "ConfigError": "common.errors",
    "DataError": "common.errors",
    "DivergedError": "common.errors",
    "OptionError": "common.errors",
    "ShapeError": "common.errors",
    "UsageError": "common.errors",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"tinynet.{_HOMES[name]}"), name)
    if not name.startswith("_") and importlib.util.find_spec(f"tinynet.{name}"):
        return importlib.import_module(f"tinynet.{name}")
    if name.startswith("_"):
        raise AttributeError(f"module 'tinynet' has no attribute {name!r}")
    importlib.import_module("tinynet.config.grammar").load_all()
    component = importlib.import_module("tinynet.common.components").find(name)
    if component is None:
        raise AttributeError(f"module 'tinynet' has no attribute {name!r}")
    return component


def __dir__() -> list[str]:
    importlib.import_module("tinynet.config.grammar").load_all()
    components = importlib.import_module("tinynet.common.components")
    return sorted([*_HOMES, *(name for kind in components.KINDS for name in components.classes(kind)), "__version__"])
