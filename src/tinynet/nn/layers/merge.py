"""Layers that several others feed: sums, products, and one behind the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinynet.common.annotations import NonNegativeInt
from tinynet.common.arrays import Array, Shape
from tinynet.common.errors import ShapeError
from tinynet.nn.layer import Layer


@dataclass(eq=False)
class _Merge(Layer, abstract=True):
    """What layers with several inputs share.

    Parameters
    ----------
    inputs
        The names of the layers that feed it, two or more.
    """

    inputs: str | tuple[str, ...] | None = None

    def setup(self, *shapes: Shape, rng: np.random.Generator) -> Shape:  # type: ignore[override]
        if len(shapes) < 2:
            kind = type(self).__name__
            raise ShapeError(f"needs two inputs or more. Name them, as in `{kind}: {{inputs: [left, right]}}`.")
        return self.joined(shapes)

    def joined(self, shapes: tuple[Shape, ...]) -> Shape:
        """The output's shape."""
        if any(shape != shapes[0] for shape in shapes):
            raise ShapeError(f"needs inputs of one shape, but gets {' and '.join(map(str, shapes))}.")
        return shapes[0]


@dataclass(eq=False)
class Sum(_Merge):
    """y = Σᵢ xᵢ

    The xᵢ and y of one shape. dxᵢ = dy.

    Raises
    ------
    ShapeError
        If there are fewer than two inputs, or they have different shapes.

    Source: Bigoni and Ripamonti.

    Example: {Sum: [left, right]}
    """

    def forward(self, *xs: Array, training: bool = False) -> Array:  # type: ignore[override]
        self.xs = xs
        self.y = xs[0] + xs[1]
        for x in xs[2:]:
            self.y += x
        return self.y

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return (dy,) * len(self.xs)


@dataclass(eq=False)
class Multiply(_Merge):
    """y = Πᵢ xᵢ, number by number

    The xᵢ and y of one shape. dxᵢ = dy · Π over j ≠ i of xⱼ.

    Raises
    ------
    ShapeError
        If there are fewer than two inputs, or they have different shapes.

    Example: {Multiply: [left, right]}
    """

    def forward(self, *xs: Array, training: bool = False) -> Array:  # type: ignore[override]
        self.xs = xs
        self.y = xs[0] * xs[1]
        for x in xs[2:]:
            self.y *= x
        return self.y

    def backward(self, dy: Array) -> tuple[Array, ...]:
        found = []
        for i in range(len(self.xs)):
            dx = dy
            # Not dy · y / xᵢ, which fails where xᵢ is 0.
            for x in (*self.xs[:i], *self.xs[i + 1 :]):
                dx = dx * x
            found.append(dx)
        return tuple(found)


@dataclass(eq=False)
class Concat(_Merge):
    """y = the xᵢ one behind the other along an axis of a sample

    The xᵢ and y have the same size along the other axes. dxᵢ = the part of dy that xᵢ went to.

    Parameters
    ----------
    axis
        Of a sample, counted from 0: for images 0 is the channels.

    Raises
    ------
    ShapeError
        If there are fewer than two inputs, or they differ along another axis.

    Example: {Concat: {inputs: [left, right], axis: 0}}
    """

    axis: NonNegativeInt = 0

    def joined(self, shapes: tuple[Shape, ...]) -> Shape:
        first, given = shapes[0], " and ".join(map(str, shapes))
        if any(len(shape) <= self.axis for shape in shapes):
            raise ShapeError(f"has no axis {self.axis} to join along: gets {given}.")
        others = [shape[: self.axis] + shape[self.axis + 1 :] for shape in shapes]
        if any(other != others[0] for other in others):
            raise ShapeError(f"needs inputs that differ along axis {self.axis} only, but gets {given}.")
        self.sizes = [shape[self.axis] for shape in shapes]
        self.sample_axis = self.axis - len(first)
        return (*first[: self.axis], sum(self.sizes), *first[self.axis + 1 :])

    def arithmetic(self) -> str:
        return f"{' + '.join(map(str, self.sizes))} = {sum(self.sizes)}"

    def forward(self, *xs: Array, training: bool = False) -> Array:  # type: ignore[override]
        self.xs = xs
        self.y = np.concatenate(xs, axis=self.sample_axis)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, ...]:
        ends = np.cumsum(self.sizes)[:-1]
        return tuple(np.split(dy, ends, axis=self.sample_axis))


@dataclass(eq=False)
class Identity(Layer):
    """y = x

    x and y of any shape. dx = dy. It gives a place in the graph a name.

    Example: Identity
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = self.y = x
        return x

    def backward(self, dy: Array) -> Array:
        return dy
