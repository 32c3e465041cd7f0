"""MNIST and Fashion-MNIST: reads the IDX files in which they are published, and has them downloaded if need be."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinynet.common.annotations import PositiveInt
from tinynet.common.arrays import Array, Shape
from tinynet.common.errors import DataError, OptionError
from tinynet.common.files import data_folder
from tinynet.data.dataset import Data, Dataset, Description
from tinynet.data.download import fetch, locate
from tinynet.data.loader import Split

# The third byte says that the numbers are uint8, the fourth how many axes they have.
LABELS, IMAGES = 0x00000801, 0x00000803
KINDS = {LABELS: "labels", IMAGES: "images"}

MAX_BYTES = 2**30
BLOCK = 2**20


def read_idx(path: Path, magic: int) -> Array:
    """The array of an IDX file, plain or packed by gzip: labels (n,) or images (n, rows, columns), uint8.

    An IDX file is the magic number, `LABELS` or `IMAGES`, the length of each axis (all big-endian, four bytes), and the
    numbers in C order. Its first bytes say whether it is packed, not its name. No memory is taken for more than it
    holds. Raises DataError if it cannot be read, is damaged, or is not what it should be.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if packed else raw as file:
                return _read(file, magic)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except EOFError as error:
        raise DataError(f"{path}: is cut short in the middle of its gzip data.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: is damaged or followed by other bytes: its gzip data are wrong ({error}).") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _read(file: Any, magic: int) -> Array:
    """The array that the bytes of an IDX file hold; raises DataError where they hold none."""
    header = file.read(4)
    if header != struct.pack(">I", magic):
        found, start = KINDS.get(int.from_bytes(header), "no IDX file of labels or images"), header.hex() or "nothing"
        raise DataError(f"holds {found}: it begins with {start}, but {KINDS[magic]} with {magic:08x}.")
    axes = magic & 0xFF
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError("is cut short in its header.")
    shape = struct.unpack(f">{axes}I", sizes)
    size = prod(shape)
    claim = f"its header says {shape}, {size:,} bytes, but"
    if size > MAX_BYTES:
        raise DataError(f"{claim} at most {MAX_BYTES:,} are read.")
    content = _content(file, size)
    if len(content) != size:
        held = f"only {len(content):,}" if len(content) < size else "more"
        raise DataError(f"{claim} {held} follow.")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _content(file: Any, size: int) -> bytearray:
    """The next bytes, at most one more than `size`; block by block, so that no memory is taken for what is not there.

    Reading over the end is what makes gzip check its checksum.
    """
    content = bytearray()
    while len(content) <= size and (block := file.read(min(BLOCK, size + 1 - len(content)))):
        content += block
    return content


@dataclass(eq=False)
class IDX(Dataset, abstract=True):
    """Grey images in ten classes, from four IDX files in the data folder; those that are missing are downloaded.

    Parameters
    ----------
    train
        How many of the training images to take, from the first on. By default all.
    test
        How many of the test images to take, from the first on. By default all.
    """

    # Its folder in the data folder, which is also its name for `tinynet data get`.
    folder: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]
    input_shape: ClassVar[Shape] = (1, 28, 28)

    train: PositiveInt | None = None
    test: PositiveInt | None = None

    def describe(self, seed: int) -> Description:
        """The shape of an image and the names of the classes, known without a file."""
        return Description(self.input_shape, list(self.classes), pixels=True)

    def read(self, seed: int) -> Data:
        folder = data_folder() / self.folder
        fetch(self.folder, folder)
        train = self._split(folder, "train", "train", self.train)
        test = self._split(folder, "test", "t10k", self.test)
        return Data(train, test, self.describe(seed))

    def _split(self, folder: Path, option: str, prefix: str, limit: int | None) -> Split:
        """The first images x (n, 1, 28, 28), uint8, and their labels (n,) of a split."""
        images_path, images = self._array(folder, f"{prefix}-images-idx3-ubyte", IMAGES)
        labels_path, labels = self._array(folder, f"{prefix}-labels-idx1-ubyte", LABELS)
        if images.shape[1:] != self.input_shape[1:]:
            needed, found = (" × ".join(map(str, shape)) for shape in (self.input_shape[1:], images.shape[1:]))
            raise self._broken(f"{images_path}: holds images of {found} pixels instead of {needed}.")
        if not len(images):
            raise self._broken(f"{images_path}: holds no images.")
        if len(labels) != len(images):
            counts = f"{len(labels):,} labels, but {images_path.name} {len(images):,} images"
            raise self._broken(f"{labels_path}: holds {counts}.", "both files")
        wrong = np.flatnonzero(labels >= len(self.classes))
        if len(wrong):
            first, last = wrong[0], len(self.classes) - 1
            raise self._broken(f"{labels_path}: label {first} is {labels[first]}, but the classes are 0 to {last}.")
        if limit is not None and limit > len(images):
            raise OptionError(f"{option} {limit} is more than the {len(images):,} images that there are. Take fewer.")
        if limit is not None:
            # A copy, so that the others' memory is free.
            images, labels = images[:limit].copy(), labels[:limit]
        return Split(images[:, None], labels.astype(np.intp))

    def _array(self, folder: Path, file: str, magic: int) -> tuple[Path, Array]:
        path = locate(folder, file) or folder / file
        try:
            return path, read_idx(path, magic)
        except DataError as error:
            raise self._broken(str(error)) from error

    def _broken(self, problem: str, which: str = "it") -> DataError:
        return DataError(f"{problem} Delete {which} and run `tinynet data get {self.folder}`.")


@dataclass(eq=False)
class MNIST(IDX):
    """Handwritten digits: 60,000 images to train and 10,000 to test, of 28 × 28 pixels

    x (n, 1, 28, 28), uint8, 0 the background and 255 the ink; y (n,), the digit.

    Source: LeCun, Bottou, Bengio and Haffner 1998.

    Example: {MNIST: {train: 6000}}
    """

    folder = "mnist"
    classes = tuple("0123456789")


@dataclass(eq=False)
class FashionMNIST(IDX):
    """Pictures of clothes in ten classes: 60,000 images to train and 10,000 to test, of 28 × 28 pixels

    x (n, 1, 28, 28), uint8, 0 the background; y (n,): T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt,
    Sneaker, Bag, Ankle boot. Of MNIST's form, but harder.

    Source: Xiao, Rasul and Vollgraf 2017.

    Example: {FashionMNIST: {train: 6000}}
    """

    folder = "fashion-mnist"
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
