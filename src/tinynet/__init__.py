"""tinynet trains small neural networks from one YAML file, in NumPy code that can be read from end to end.

Ten packages, in this order; imports run in this direction only: common, nn, data, config, training, runs, explain,
check, plots, cli. A student reads nn first.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from tinynet.common import VERSION

__version__ = VERSION

if TYPE_CHECKING:  # the same names for type checkers and editors, which look at no __getattr__
    from tinynet.common.annotations import (
        FilePath,
        NonNegativeFloat,
        NonNegativeInt,
        PositiveFloat,
        PositiveInt,
        Probability,
        Share,
    )
    from tinynet.common.components import Component
    from tinynet.common.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        DivergedError,
        OptionError,
        ShapeError,
        TinynetError,
        UsageError,
    )
    from tinynet.config.config import load
    from tinynet.data.augmentations import Augmentation, Rotate, Shift, Zoom
    from tinynet.data.dataset import Data, Dataset, Description
    from tinynet.data.loader import Loader, Split
    from tinynet.data.mnist import MNIST, FashionMNIST
    from tinynet.data.own_files import CSV, NPZ
    from tinynet.data.plane import (
        XOR,
        Disk,
        Gaussians,
        Moons,
        Rings,
        Spirals,
    )
    from tinynet.nn.layer import Layer
    from tinynet.nn.layers.activations import (
        GELU,
        LeakyReLU,
        ReLU,
        Sigmoid,
        Softmax,
        Tanh,
    )
    from tinynet.nn.layers.block import Block
    from tinynet.nn.layers.convolution import Conv2d, ConvTranspose2d
    from tinynet.nn.layers.dropout import Dropout, Dropout2d
    from tinynet.nn.layers.linear import Linear
    from tinynet.nn.layers.merge import Concat, Identity, Multiply, Sum
    from tinynet.nn.layers.normalization import BatchNorm, LayerNorm
    from tinynet.nn.layers.pooling import (
        AvgPool2d,
        GlobalAvgPool2d,
        MaxPool2d,
        MaxUnpool2d,
        Upsample,
    )
    from tinynet.nn.layers.shape import Flatten, Reshape
    from tinynet.nn.losses import (
        L1,
        MSE,
        BinaryCrossEntropy,
        CrossEntropy,
        Huber,
        Loss,
    )
    from tinynet.nn.net import Net
    from tinynet.nn.optimizers import SGD, Adam, AdamW, Optimizer
    from tinynet.nn.parameter import Parameter
    from tinynet.nn.schedules import (
        CosineLR,
        LinearWarmup,
        Schedule,
        StepLR,
    )
    from tinynet.training.experiment import Experiment, build, load_checkpoint
    from tinynet.training.learner import Learner

__all__ = [  # noqa: RUF022 (in the order of the alphabet, as a person reads it)
    "Adam", "AdamW", "Augmentation", "AvgPool2d", "BatchNorm", "BinaryCrossEntropy", "Block", "CSV",
    "CheckpointError", "Component", "Concat", "ConfigError", "Conv2d", "ConvTranspose2d", "CosineLR",
    "CrossEntropy", "Data", "DataError", "Dataset", "Description", "Disk", "DivergedError", "Dropout", "Dropout2d",
    "Experiment", "FashionMNIST", "FilePath", "Flatten", "GELU", "Gaussians", "GlobalAvgPool2d", "Huber",
    "Identity", "L1", "Layer", "LayerNorm", "LeakyReLU", "Learner", "Linear", "LinearWarmup", "Loader", "Loss",
    "MNIST", "MSE", "MaxPool2d", "MaxUnpool2d", "Moons", "Multiply", "NPZ", "Net", "NonNegativeFloat",
    "NonNegativeInt", "Optimizer", "OptionError", "Parameter", "PositiveFloat", "PositiveInt", "Probability",
    "ReLU", "Reshape", "Rings", "Rotate", "SGD", "Schedule", "ShapeError", "Share", "Shift", "Sigmoid", "Softmax",
    "Spirals", "Split", "StepLR", "Sum", "Tanh", "TinynetError", "Upsample", "UsageError", "XOR", "Zoom", "build",
    "load", "load_checkpoint",
]  # fmt: skip

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


if not TYPE_CHECKING:

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
