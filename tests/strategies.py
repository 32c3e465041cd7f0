"""Whole configs, valid and of every kind, as hypothesis draws them; and the data files that they name."""

import atexit
import shutil
import tempfile
import typing
from functools import cache
from itertools import count
from pathlib import Path

import annotated_types as limits
import numpy as np
import yaml
from gradients import built
from hypothesis import strategies as st
from idx_files import FILES
from options import values

from tinynet.common import components
from tinynet.common.errors import ShapeError
from tinynet.config.grammar import load_all
from tinynet.data.own_files import NPZ
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.merge import Concat, Identity, Multiply, Sum
from tinynet.nn.layers.pooling import MaxUnpool2d
from tinynet.nn.layers.shape import Reshape
from tinynet.nn.losses import BinaryCrossEntropy, Huber
from tinynet.nn.net import Net

load_all()

ROOT = Path(__file__).parents[1]
LARGEST = 1600  # numbers in what a layer gives
MOST = 4  # of anything that is counted
LEAST = 0.01  # of anything that is measured and not 0
# What the grammar cannot say by itself: options that hang together with others, and are drawn with them.
TIED = {"name", "inputs", "share", "nesterov", "layers", "repeat", "pool", "path", "column", "task", "targets", "test"}
PLACED = (Block, Sum, Multiply, Concat, Identity, MaxUnpool2d)


# ---- the files of the datasets


@cache
def folder():
    """A folder with the data files that the configs name, made once."""
    made = Path(tempfile.mkdtemp(prefix="tinynet-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    rng = np.random.default_rng(0)
    for name, x, y in (
        ("bytes.npz", rng.integers(0, 256, (24, 2, 6, 6), np.uint8), np.arange(24) % 3),
        ("grey.npz", rng.random((24, 5, 4)), np.arange(24) % 2),
        ("vectors.npz", rng.normal(5, 3, (24, 4)), rng.normal(100, 20, (24, 2))),
        ("texts.npz", rng.random(24), np.array(["north", "south"] * 12)),
    ):
        np.savez(made / name, x_train=x, y_train=y, x_test=x[:7] / 2 if x.dtype == float else x[:7], y_test=y[:7])
    flowers, hours = ["length,width,kind"], ["hour,rain,takings"]
    for i in range(30):
        flowers.append(f"{rng.random():.3f},{i},{'abc'[i % 3]}")
        hours.append(f"{i % 24},{i % 2},{rng.normal(60, 9):.2f}")
    (made / "flowers.csv").write_text("\n".join(flowers) + "\n")
    (made / "hours.csv").write_text("\n".join(hours) + "\n")
    for dataset in ("mnist", "fashion-mnist"):
        (made / dataset).mkdir()
        for name, content in FILES.items():
            (made / dataset / name).write_bytes(content)
    for path in (ROOT / "configs").glob("*.*"):
        shutil.copy(path, made)
    return made


TABLES = [
    {"path": "flowers.csv", "column": "kind"}, {"path": "hours.csv", "column": "takings"},
    {"path": "hours.csv", "column": "rain"}, {"path": "hours.csv", "column": "rain", "task": "regression"},
]  # fmt: skip
ARRAYS = [
    {"path": "bytes.npz"}, {"path": "grey.npz"}, {"path": "vectors.npz"}, {"path": "texts.npz"},
    {"path": "grey.npz", "task": "regression"}, {"path": "vectors.npz", "task": "regression"},
]  # fmt: skip


# ---- valid configs


def small(annotation):
    """The annotation with the numbers that train in milliseconds."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated and arguments[0] in (int, float):
        bounds = {type(limit): limit for limit in arguments[1:]}
        most = min([MOST if arguments[0] is int else 1.0, *(b.le for b in bounds.values() if hasattr(b, "le"))])
        least = [limits.Ge(LEAST if arguments[0] is float else 1)] if limits.Gt in bounds else []
        kept = [limit for limit in arguments[1:] if not isinstance(limit, limits.Gt | limits.Le)]
        return typing.Annotated[(arguments[0], *kept, *least, limits.Le(most))]
    if annotation is float:
        return typing.Annotated[float, limits.Ge(-1), limits.Le(1)]
    if origin is tuple:
        return tuple.__class_getitem__(tuple(a if a is ... else small(a) for a in arguments))
    if arguments and origin is not typing.Literal and origin is not typing.Annotated:
        # Without the initial values that are in a file, whose shapes are another matter.
        return typing.Union[tuple(small(a) for a in arguments if not typing.is_typeddict(a))]  # noqa: UP007
    return annotation


def options(cls, **given):
    """Options of a component: what it requires, some of the rest, and those that are given as strategies."""
    free = [o for o in components.options(cls) if o.name not in given and (o.required or o.name not in TIED)]
    found = {o.name: values(small(o.annotation)) for o in free}
    required = {o.name: found.pop(o.name) for o in free if o.required}
    return st.fixed_dictionaries(required | given, optional=found)


@st.composite
def named(draw, cls, **given):
    """A component in one of the forms of the grammar."""
    found, first = draw(options(cls, **given)), components.first_option(cls)
    if not found:
        return draw(st.sampled_from([cls.__name__, {cls.__name__: None}, {cls.__name__: {}}]))
    if first and list(found) == [first.name] and not isinstance(found[first.name], dict | None):
        return {cls.__name__: draw(st.sampled_from([found, found[first.name]]))}
    return {cls.__name__: found}


def classes(kind, without=(), modules=()):
    """A class of this kind, of certain modules if they are named."""
    found = [cls for cls in components.classes(kind).values() if not issubclass(cls, tuple(without))]
    return st.sampled_from([cls for cls in found if not modules or cls.__module__.rpartition(".")[2] in modules])


@st.composite
def datasets(draw):
    """A dataset, its options in their long form, and what there is to know of it."""
    cls = draw(classes("dataset") | st.just(NPZ))  # which has all kinds of samples and targets
    given = {"validation": st.sampled_from([0.0, 0.25]), "standardize": st.booleans()}
    names = {o.name for o in components.options(cls)}
    if "path" in names:
        chosen = draw(st.sampled_from(TABLES if "column" in names else ARRAYS))
        given |= {name: st.just(value) for name, value in chosen.items()}
        given["standardize_targets"] = st.booleans()
        if "test" in names:
            given["test"] = st.sampled_from([0.2, 0.5])
    else:
        given |= {"train": st.integers(8, 24), "test": st.integers(3, 9)}
    if cls.generated and "classes" in names:
        given["classes"] = st.integers(2, 4)
    found = draw(options(cls, **given))
    absolute = {name: str(folder() / value) if name == "path" else value for name, value in found.items()}
    description = cls(**absolute).load(0).description
    known = description.classes
    fit = [None, "inputs"] if known is None else [None, "one_hot", "signed_one_hot", "inputs"]
    fit += ["sign", "binary"] if known is not None and len(known) == 2 else []
    found["targets"] = draw(st.sampled_from(fit))
    if found["targets"] == "inputs":
        found.pop("standardize_targets", None)
    return cls, found, description


def _shares(dataset, description):
    """Whether all targets are from 0 to 1."""
    if dataset["targets"] == "inputs":
        return description.pixels and not dataset.get("standardize")
    return description.classes is not None and dataset["targets"] not in ("sign", "signed_one_hot")


@st.composite
def losses(draw, dataset, description):
    """A loss that fits, and the shape of the output that it needs."""
    targets, known = dataset["targets"], description.classes
    fit = [
        cls
        for cls in components.classes("loss").values()
        if not (cls.takes_labels and (known is None or targets not in (None, "one_hot")))
        and not (issubclass(cls, BinaryCrossEntropy) and not _shares(dataset, description))
        and not (issubclass(cls, Huber) and dataset.get("standardize_targets"))
    ]
    cls = draw(st.sampled_from(fit))
    if targets == "inputs":
        return cls, description.input_shape
    if known is None:
        return cls, description.target_shape
    if targets in ("sign", "binary"):
        return cls, (2 if targets == "sign" else 1,)
    if issubclass(cls, BinaryCrossEntropy) and targets is None and len(known) == 2 and draw(st.booleans()):
        return cls, (1,)
    return cls, (len(known) + draw(st.integers(0, 2)),)


class Body:
    """Draws layers that follow each other, and keeps the shape of what the last one gives."""

    def __init__(self, draw, shape, names, level=0):
        self.draw, self.shape, self.names, self.level = draw, shape, names, level
        self.layers, self.lenders = [], []

    def add(self, spec, shape=None):
        self.layers.append(spec)
        self.shape = shape or self.shape

    def grow(self, steps):
        kinds = [self.plain] * 5 + [self.shared, self.joined, self.unpooled] + [self.block] * (self.level < 2)
        for _ in range(steps):
            self.draw(st.sampled_from(kinds))()
        return self

    def name(self):
        return f"n{next(self.names)}"

    def alone(self, spec):
        """The layer as a net by itself; None where it does not fit here."""
        try:
            bare = isinstance(spec, dict) and None in spec.values()
            net = Net([built(next(iter(spec)) if bare else spec)], self.shape)
        except ShapeError:
            return None
        return net if np.prod(net.output_shape) <= LARGEST else None

    def plain(self):
        """A layer by itself; of the kinds that do not fit here, such as a convolution of flat samples, another."""
        for _ in range(4):
            of_images = len(self.shape) == 3 and self.draw(st.booleans())
            cls = self.draw(classes("layer", PLACED, ("convolution", "pooling") if of_images else ()))
            given = {"name": st.just(self.name())} if self.draw(st.booleans()) else {}
            if self.draw(st.booleans()):
                given["trainable"] = st.booleans()
            if "groups" in {option.name for option in components.options(cls)}:
                given["groups"] = st.sampled_from([1, 1, 1, 2])
            if cls is Reshape:
                size = int(np.prod(self.shape))
                given["shape"] = st.sampled_from([[size], [1, 1, size], [1, size, 1], list(self.shape)])
            spec = self.draw(named(cls, **given))
            net = self.alone(spec)
            if net is not None:
                if "name" in given and net.parameters:
                    self.lenders.append((cls.__name__, spec[cls.__name__], self.shape, net.output_shape))
                self.add(spec, net.output_shape)
                return

    def shared(self):
        fit = [lender for lender in self.lenders if lender[2] == self.shape]
        if fit:
            kind, given, _, shape = self.draw(st.sampled_from(fit))
            kept = {name: value for name, value in given.items() if name not in ("name", "trainable", "init")}
            self.add({kind: kept | {"share": given["name"]}}, shape)

    def inner(self, shape=None, level=0):
        body = Body(self.draw, shape or self.shape, self.names, self.level + level)
        return body.grow(self.draw(st.integers(0, 2)))

    def joined(self):
        """Two ways from here, and what joins their ends."""
        start, ways, ends = self.name(), [self.inner(), self.inner()], [self.name(), self.name()]
        kinds = [{Sum.__name__: ends}, {Multiply.__name__: {"inputs": ends}}] if ways[0].shape == ways[1].shape else []
        for axis in range(len(self.shape)):
            rest = [way.shape[:axis] + way.shape[axis + 1 :] for way in ways if len(way.shape) == len(self.shape)]
            if len(rest) == 2 and rest[0] == rest[1]:
                kinds.append({Concat.__name__: {"inputs": ends, "axis": axis}})
        if not kinds:
            return
        kind = self.draw(st.sampled_from(kinds))
        self.add({Identity.__name__: {"name": start}})
        for way, end in zip(ways, ends, strict=True):
            self.add({Identity.__name__: {"inputs": start}})
            self.layers += [*way.layers, {Identity.__name__: {"name": end}}]
        if "Concat" in kind:
            axis = kind["Concat"]["axis"]
            size = sum(way.shape[axis] for way in ways)
            self.shape = (*ways[0].shape[:axis], size, *ways[0].shape[axis + 1 :])
        else:
            self.shape = ways[0].shape
        self.add(kind)

    def unpooled(self):
        if len(self.shape) == 3 and min(self.shape[1:]) >= 2:
            name, before = self.name(), self.shape
            pool = {"MaxPool2d": {"name": name, "kernel_size": self.draw(st.integers(1, 2))}}
            self.add(pool, self.alone(pool).output_shape)
            self.add({"Tanh": None})
            self.add({MaxUnpool2d.__name__: self.draw(st.sampled_from([name, {"pool": name}]))}, before)

    def block(self):
        inner = self.inner(level=1)
        if not inner.layers:
            return
        name, given = self.name(), {"layers": inner.layers}
        if inner.shape == self.shape:
            given["repeat"] = self.draw(st.integers(1, 2))
        if self.draw(st.booleans()):
            given |= {"name": name, "trainable": self.draw(st.booleans())}
        self.add({Block.__name__: given}, inner.shape)
        if "name" in given and inner.shape == self.shape and given.get("repeat") and self.draw(st.booleans()):
            self.add({Block.__name__: {"share": name, "trainable": given["trainable"]}})

    def end(self, shape, logits):
        """Layers to an output of this shape; without a second Softmax or Sigmoid for a loss that takes logits."""
        if len(self.shape) > 1:
            self.add("Flatten")
        self.add({"Linear": {"out_features": int(np.prod(shape)), "name": "end"}}, shape)
        if len(shape) > 1:
            self.add({"Reshape": list(shape)})
        last = ["Identity", "Tanh"] if logits else ["Identity", "Tanh", "Sigmoid", "Softmax"]
        return [*self.layers, self.draw(st.sampled_from(last))]


@st.composite
def trainings(draw, dataset, description):
    monitors = ["validation_loss", "validation_error"] if dataset["validation"] else []
    evaluated = draw(st.booleans())
    monitors += ["train_loss", "train_error"] if evaluated else []
    if description.classes is None or dataset["targets"] == "inputs":
        monitors = [name for name in monitors if name.endswith("loss")]
    optional = {
        "shuffle": st.booleans(),
        "clip_norm": st.sampled_from([None, 0.1, 2]),
        "rounds": st.integers(1, 3),
        "checkpoint_seconds": st.sampled_from([0, 0.5, 10]),
    }
    if monitors:
        stopping = {"patience": st.integers(1, 2), "min_delta": st.sampled_from([0, 0.1])}
        stopping["monitor"] = st.sampled_from(monitors)
        optional["early_stopping"] = st.none() | st.fixed_dictionaries(stopping)
    fixed = {"epochs": st.integers(1, 3), "batch_size": st.integers(3, 20), "evaluate_train": st.just(evaluated)}
    return draw(st.fixed_dictionaries(fixed, optional=optional))


@st.composite
def configs(draw):
    """A valid config of any kind: as plain data, with the paths of files in `folder()`."""
    cls, dataset, description = draw(datasets())
    loss, output = draw(losses(dataset, description))
    body = Body(draw, description.input_shape, count(1)).grow(draw(st.integers(0, 5)))
    found = {
        "seed": draw(st.integers(0, 2**40)),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "dataset": {cls.__name__: dataset},
        "layers": body.end(output, loss.takes_labels or issubclass(loss, BinaryCrossEntropy)),
        "loss": draw(named(loss)),
        "optimizer": draw(optimizers()),
        "training": draw(trainings(dataset, description)),
    }
    if len(description.input_shape) == 3:
        found["augment"] = draw(st.lists(classes("augmentation").flatmap(named), max_size=2))
    schedule = classes("schedule").flatmap(named)
    return found | draw(st.fixed_dictionaries({}, optional={"schedule": schedule | st.lists(schedule, max_size=2)}))


@st.composite
def optimizers(draw):
    cls = draw(classes("optimizer"))
    spec = {cls.__name__: draw(options(cls, lr=st.sampled_from([0.001, 0.05])))}
    if spec[cls.__name__].get("momentum"):
        spec[cls.__name__]["nesterov"] = draw(st.booleans())
    return spec


def text_of(config):
    return yaml.safe_dump(config, sort_keys=False, default_flow_style=None, allow_unicode=True)
