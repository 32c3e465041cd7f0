"""Generated problems of the plane: points with two coordinates, in classes whose borders can be drawn."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import pi, sqrt
from typing import Annotated

import annotated_types as limits
import numpy as np

from tinynet.common import memory
from tinynet.common.annotations import NonNegativeFloat, PositiveFloat, PositiveInt, Share
from tinynet.common.arrays import Array
from tinynet.common.errors import OptionError
from tinynet.data.dataset import Data, Dataset, Description
from tinynet.data.loader import Split
from tinynet.data.targets import MAX_CLASSES
from tinynet.nn.random import Stream

ClassCount = Annotated[int, limits.Ge(2), limits.Le(MAX_CLASSES)]
# Bytes of a point: two coordinates in float64, as they are drawn, and in the net's float32; and the class index.
POINT = 32


@dataclass(eq=False)
class Plane(Dataset, abstract=True):
    """Points (n, 2) drawn at random, each with a class index. Training and test points have streams of their own.

    Parameters
    ----------
    train
        Points in the training split.
    test
        Points in the test split.
    """

    generated = True

    train: PositiveInt = 1000
    test: PositiveInt = 1000

    @abstractmethod
    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Points x (n, 2) and their class indices (n,), in an order that says nothing."""

    def class_count(self) -> int:
        return 2

    def read(self, seed: int) -> Data:
        count = self.train + self.test
        lacking = memory.shortage(count * POINT)
        if lacking:
            raise OptionError(f"{count:,} points take {lacking}. Draw fewer.")
        with np.errstate(over="ignore", invalid="ignore"):
            train = Split(*self.draw(self.train, Stream(seed, "data", "train").at()))
            test = Split(*self.draw(self.test, Stream(seed, "data", "test").at()))
        if not np.isfinite(train.x).all() or not np.isfinite(test.x).all():
            raise OptionError("its points lie where there are no numbers. Make its options smaller.")
        classes = [str(k) for k in range(self.class_count())]
        return Data(train, test, Description((2,), classes, ["x1", "x2"]))


def balanced(n: int, classes: int, rng: np.random.Generator) -> Array:
    """Class indices (n,) in random order, whose frequencies differ by one at most."""
    return rng.permutation(np.arange(n, dtype=np.intp) % classes)


def flipped(labels: Array, share: float, rng: np.random.Generator) -> Array:
    """Labels 0 and 1, each of them exchanged with a probability of `share`."""
    return np.where(rng.random(len(labels)) < share, 1 - labels, labels)


def blurred(x: Array, deviation: float, rng: np.random.Generator) -> Array:
    """x + N(0, deviation²), in each coordinate."""
    return x + deviation * rng.standard_normal(x.shape)


@dataclass(eq=False)
class Disk(Plane):
    """y = 1 where ‖x - center‖ < radius, else 0;  x ~ U([0, 1]²)

    x (n, 2), y (n,). The default radius 1/√(2π) gives the disk half of the square's area.

    Parameters
    ----------
    radius
        Of the disk.
    center
        Of the disk.
    noise
        Share of labels that are flipped.

    Source: Feng, Sun and Wang, section II; Bian, Dankl and Mercan.

    Example: {Disk: {train: 1000}}
    """

    radius: PositiveFloat = 1 / sqrt(2 * pi)
    center: tuple[float, float] = (0.5, 0.5)
    noise: Share = 0.0

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.random((n, 2))
        inside = ((x - np.array(self.center)) ** 2).sum(axis=1) < self.radius * self.radius
        return x, flipped(inside.astype(np.intp), self.noise, rng)


@dataclass(eq=False)
class XOR(Plane):
    """y = 1 where x₁ x₂ < 0, else 0;  x ~ U([-1, 1]²)

    x (n, 2), y (n,). Opposite quadrants have the same class, so no straight line parts them.

    Parameters
    ----------
    noise
        Share of labels that are flipped.

    Source: Minsky and Papert 1969; the Exclusive or of TensorFlow Playground.

    Example: {XOR: {train: 1000}}
    """

    noise: Share = 0.0

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.uniform(-1, 1, (n, 2))
        return x, flipped((x[:, 0] * x[:, 1] < 0).astype(np.intp), self.noise, rng)


@dataclass(eq=False)
class Gaussians(Plane):
    """x ~ N((cos 2πk/K, sin 2πk/K), deviation²) for class k of K

    x (n, 2), y (n,). One round blob for each class, their centres evenly spaced on the unit circle.

    Parameters
    ----------
    classes
        K, the number of blobs.
    deviation
        Standard deviation of each coordinate in a blob.

    Source: scikit-learn's make_blobs; the Gaussian of TensorFlow Playground.

    Example: {Gaussians: {train: 1000, classes: 3}}
    """

    classes: ClassCount = 2
    deviation: PositiveFloat = 0.5

    def class_count(self) -> int:
        return self.classes

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        labels = balanced(n, self.classes, rng)
        angle = 2 * pi * labels / self.classes
        centers = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return blurred(centers, self.deviation, rng), labels


@dataclass(eq=False)
class Spirals(Plane):
    """x = r (sin t, cos t) + N(0, noise²),  t = 2π (turns · r + k/K) for class k of K,  r ~ U(0, 1)

    x (n, 2), y (n,). One arm for each class, wound about the origin.

    Parameters
    ----------
    classes
        K, the number of arms.
    turns
        How often an arm winds about the origin.
    noise
        Standard deviation of what is added to each coordinate.

    Source: the Spiral of TensorFlow Playground, with 1.75 turns; CS231n, whose arms have 4/2π turns.

    Example: {Spirals: {train: 1000, turns: 1}}
    """

    classes: ClassCount = 2
    turns: PositiveFloat = 1.75
    noise: NonNegativeFloat = 0.02

    def class_count(self) -> int:
        return self.classes

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        labels = balanced(n, self.classes, rng)
        r = rng.random(n)
        t = 2 * pi * (self.turns * r + labels / self.classes)
        arms = np.stack([r * np.sin(t), r * np.cos(t)], axis=1)
        return blurred(arms, self.noise, rng), labels


@dataclass(eq=False)
class Moons(Plane):
    """x = (cos t, sin t) for class 0, (1 - cos t, 1/2 - sin t) for class 1, + N(0, noise²);  t ~ U(0, π)

    x (n, 2), y (n,). Two half circles that reach into each other.

    Parameters
    ----------
    noise
        Standard deviation of what is added to each coordinate.

    Source: scikit-learn's make_moons, which spaces t evenly.

    Example: {Moons: {train: 1000, noise: 0.1}}
    """

    noise: NonNegativeFloat = 0.1

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        labels = balanced(n, 2, rng)
        t = rng.uniform(0, pi, n)
        upper = np.stack([np.cos(t), np.sin(t)], axis=1)
        lower = np.stack([1 - np.cos(t), 0.5 - np.sin(t)], axis=1)
        return blurred(np.where(labels[:, None] == 0, upper, lower), self.noise, rng), labels


@dataclass(eq=False)
class Rings(Plane):
    """x = ρ (cos t, sin t) + N(0, noise²),  ρ = 1 for class 0, factor for class 1;  t ~ U(0, 2π)

    x (n, 2), y (n,). A circle within a circle.

    Parameters
    ----------
    factor
        Radius of the inner circle; that of the outer is 1.
    noise
        Standard deviation of what is added to each coordinate.

    Source: scikit-learn's make_circles, which spaces t evenly and whose factor is 0.8 by default.

    Example: {Rings: {train: 1000, noise: 0.1}}
    """

    factor: Share = 0.5
    noise: NonNegativeFloat = 0.1

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        labels = balanced(n, 2, rng)
        t = rng.uniform(0, 2 * pi, n)
        radius = np.where(labels == 0, 1.0, self.factor)
        circles = np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1)
        return blurred(circles, self.noise, rng), labels
