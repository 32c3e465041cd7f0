"""tinynet trains small neural networks from one YAML file, in NumPy code that can be read from end to end.

Reading order: core, functions, registry; layers, losses, optimizers, schedules, datasets, augmentations; net;
config, builder; evaluation, learner, checkpoint, experiment, run; plots; cli. Imports run in that direction only.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

__version__ = "0.1.0"

# Where the names that are no components live. Modules are imported at the first use of a name.
_HOMES = {
    "load": "config",
    "build": "experiment",
    "load_checkpoint": "experiment",
    "Experiment": "experiment",
    "Learner": "learner",
    "Loader": "datasets.splits",
    "Net": "net",
    "Parameter": "core",
    "Component": "registry",
    "Layer": "layers.base",
    "Augmentation": "augmentations",
    "Loss": "losses",
    "Optimizer": "optimizers",
    "Schedule": "schedules",
    "Dataset": "datasets.base",
    "Data": "datasets.base",
    "Description": "datasets.base",
    "Split": "datasets.splits",
    "TinynetError": "errors",
    "CheckpointError": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "DivergedError": "errors",
    "OptionError": "errors",
    "ShapeError": "errors",
    "UsageError": "errors",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"tinynet.{_HOMES[name]}"), name)
    if not name.startswith("_") and importlib.util.find_spec(f"tinynet.{name}"):
        return importlib.import_module(f"tinynet.{name}")
    if name.startswith("_"):
        raise AttributeError(f"module 'tinynet' has no attribute {name!r}")
    registry = importlib.import_module("tinynet.registry")
    registry.load_all()
    component = registry.find(name)
    if component is None:
        raise AttributeError(f"module 'tinynet' has no attribute {name!r}")
    return component


def __dir__() -> list[str]:
    registry = importlib.import_module("tinynet.registry")
    registry.load_all()
    return sorted([*_HOMES, *(name for kind in registry.KINDS for name in registry.classes(kind)), "__version__"])
