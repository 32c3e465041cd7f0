"""IDX files: what is read from good ones, and what is said of those that lie or are damaged."""

from __future__ import annotations

import gzip
import os
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idx_files import ARRAYS, COUNTS, FILES, idx_bytes

from tinynet.common.errors import DataError, OptionError
from tinynet.data import download, mnist
from tinynet.data.mnist import IMAGES, LABELS, MNIST, FashionMNIST, read_idx

REAL = Path(os.environ.get("TINYNET_DATA", "")) / "mnist"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder's `mnist` with four small files, one of them packed."""
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "data"))
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for i, (name, content) in enumerate(FILES.items()):
        if i == 0:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_what_was_written_is_read(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(FILES[name]))
    array = read_idx(path, IMAGES if "images" in name else LABELS)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, ARRAYS[name])


def test_the_splits_are_bytes_of_one_channel_with_labels(folder):
    data = MNIST().load(0)
    for split, part in ((data.train, "train"), (data.test, "t10k")):
        assert (split.x.shape, split.x.dtype) == ((COUNTS[part], 1, 28, 28), np.uint8)
        np.testing.assert_array_equal(split.x[:, 0], ARRAYS[f"{part}-images-idx3-ubyte"])
        assert split.labels.dtype == np.intp
        np.testing.assert_array_equal(split.labels, ARRAYS[f"{part}-labels-idx1-ubyte"])
    assert data.description.input_shape == (1, 28, 28)


def test_shape_and_classes_are_known_without_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "none"))
    assert MNIST().describe(0).input_shape == FashionMNIST().describe(0).input_shape == (1, 28, 28)
    assert MNIST().describe(0).classes == list("0123456789")
    clothes = FashionMNIST().describe(0).classes
    assert (clothes[0], clothes[8], clothes[9], len(clothes)) == ("T-shirt/top", "Bag", "Ankle boot", 10)
    assert not (tmp_path / "none").exists()


def test_the_folders_are_those_of_the_downloads():
    assert {MNIST.folder, FashionMNIST.folder} == set(download.SOURCES)


def test_limits_take_the_first(folder):
    data = MNIST(train=7, test=20).load(0)
    np.testing.assert_array_equal(data.train.x[:, 0], ARRAYS["train-images-idx3-ubyte"][:7])
    assert data.train.labels.tolist() == list(range(7))
    assert len(data.test) == 20
    # Nothing holds the other images in memory.
    assert data.train.x.base.size == 7 * 28 * 28


@pytest.mark.parametrize(("option", "n"), [("train", 31), ("test", 21)])
def test_a_limit_over_what_there_is_is_refused(folder, option, n):
    with pytest.raises(OptionError, match=f"^{option} {n} is more than the {n - 1} images that there are"):
        MNIST(**{option: n}).load(0)


def test_a_limit_has_to_be_positive():
    with pytest.raises(OptionError, match="train must be a whole number > 0 or null, not 0"):
        MNIST(train=0)


def header(magic, *sizes):
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes)


IMAGE_FILE, LABEL_FILE = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
GOOD = FILES[IMAGE_FILE]
PACKED = gzip.compress(GOOD)
DAMAGED = {
    "empty": (b"", "begins with nothing, but images with 00000803"),
    "page": (b"<html>Sorry</html>", "holds no IDX file of labels or images: it begins with 3c68746d"),
    "labels": (FILES[LABEL_FILE], "holds labels: it begins with 00000801, but images with 00000803"),
    "floats": (header(0xD03, 20, 28, 28) + GOOD[16:], "begins with 00000d03"),
    "header cut": (GOOD[:9], "is cut short in its header"),
    "content cut": (GOOD[:-1], r"its header says (20, 28, 28), 15,680 bytes, but only 15,679 follow"),
    "no content": (GOOD[:16], "but only 0 follow"),
    "too many": (GOOD + b"\0", "15,680 bytes, but more follow"),
    "wrong count": (header(IMAGES, 21, 28, 28) + GOOD[16:], "but only 15,680 follow"),
    "100 GB": (header(IMAGES, 130_000_000, 28, 28) + GOOD[16:], "101,920,000,000 bytes, but at most 1,073,741,824"),
    "2**96": (header(IMAGES, *3 * [2**32 - 1]) + GOOD[16:], "but at most 1,073,741,824 are read"),
    "other pixels": (header(IMAGES, 5, 56, 56) + GOOD[16:], "holds images of 56 × 56 pixels instead of 28 × 28"),
    "none": (header(IMAGES, 0, 28, 28), "holds no images"),
    "gzip cut": (PACKED[: len(PACKED) // 2], "is cut short in the middle of its gzip data"),
    "gzip trailer cut": (PACKED[:-2], "is cut short in the middle of its gzip data"),
    "gzip header cut": (PACKED[:5], "is cut short in the middle of its gzip data"),
    "gzip bad": (PACKED[:10] + b"\xff" * 9 + PACKED[19:], "is damaged or followed by other bytes"),
    "gzip checksum": (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "its gzip data are wrong (CRC check failed"),
    "gzip length": (PACKED[:-4] + b"\0\0\0\1", "its gzip data are wrong (Incorrect length"),
    "gzip and more": (PACKED + b"more", "is damaged or followed by other bytes"),
    "gzip of less": (gzip.compress(GOOD[:-1]), "but only 15,679 follow"),
    "gzip of more": (gzip.compress(GOOD + b"\0"), "but more follow"),
    "gzip of 100 GB": (gzip.compress(header(IMAGES, 130_000_000, 28, 28)), "but at most 1,073,741,824 are read"),
    "gzip of 800 MB": (gzip.compress(header(IMAGES, 1_000_000, 28, 28) + GOOD[16:]), "but only 15,680 follow"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_file_that_lies_is_named_with_what_to_do(folder, case):
    content, problem = DAMAGED[case]
    (folder / IMAGE_FILE).write_bytes(content)
    tracemalloc.start()
    with pytest.raises(DataError) as caught:
        MNIST().load(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(f"{folder / IMAGE_FILE}: ")
    assert problem in text
    assert text.endswith("Delete it and run `tinynet data get mnist`.")
    # A reader of gzip takes blocks of up to 1 MB.
    assert peak < 5e6


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (np.arange(21) % 10, f"holds 21 labels, but {IMAGE_FILE} 20 images. Delete both files and run"),
        (np.arange(19) % 10, f"holds 19 labels, but {IMAGE_FILE} 20 images. Delete both files and run"),
        (np.arange(20) % 11, "label 10 is 10, but the classes are 0 to 9. Delete it and run"),
        (np.full(20, 255), "label 0 is 255, but the classes are 0 to 9."),
        (ARRAYS[IMAGE_FILE], "holds images: it begins with 00000803, but labels with 00000801."),
    ],
)
def test_labels_that_do_not_fit_are_refused(folder, labels, problem):
    (folder / LABEL_FILE).write_bytes(idx_bytes(labels))
    with pytest.raises(DataError, match=f"^{re.escape(f'{folder / LABEL_FILE}: {problem}')}"):
        MNIST().load(0)


def test_what_cannot_be_opened_is_a_data_error(tmp_path):
    for path, reason in ((tmp_path / "gone", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(DataError, match=f"^{re.escape(str(path))}: cannot be read \\({reason}"):
            read_idx(path, LABELS)


SMALL = idx_bytes(np.arange(40) % 10)


@pytest.mark.parametrize("block", [1, 8, 39, 40, 41])
def test_the_end_is_checked_wherever_a_block_ends(tmp_path, monkeypatch, block):
    monkeypatch.setattr(mnist, "BLOCK", block)
    path, packed = tmp_path / "labels", gzip.compress(SMALL)
    for content in (SMALL, packed):
        path.write_bytes(content)
        assert read_idx(path, LABELS).tolist() == [k % 10 for k in range(40)]
    for content in (SMALL + b"\0", SMALL[:-1], packed[:-8] + bytes(4) + packed[-4:], packed[:-1]):
        path.write_bytes(content)
        with pytest.raises(DataError):
            read_idx(path, LABELS)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_is_refused_or_read_as_an_array_of_its_size(tmp_path_factory, data):
    whole = bytearray(data.draw(st.sampled_from([SMALL, gzip.compress(SMALL, mtime=0)])))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        shape, problem = read_idx(path, LABELS).shape, None
    except DataError as error:
        shape, problem = None, str(error)
    assert shape == (40,) or problem.startswith(f"{path}: ")


def test_a_config_takes_it_bare_and_with_limits(folder, write, changed):
    import tinynet

    config = tinynet.load(
        write(changed({"Disk: {train: 40, test: 20}": "MNIST", "- Linear: 5": "- Flatten\n  - Linear: 5"})),
        "dataset.MNIST.train=25",
    )
    dataset = config.dataset.make()
    assert isinstance(dataset, MNIST)
    assert (dataset.train, dataset.test) == (25, None)


@pytest.mark.skipif(not REAL.is_dir(), reason="TINYNET_DATA has no mnist/")
def test_the_real_mnist():
    assert mnist.fetch("mnist", REAL) == []
    data = MNIST().load(0)
    assert (data.train.x.shape, data.test.x.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert np.bincount(data.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.train.labels).sum() == 60000
    assert (data.train.x.min(), data.train.x.max()) == (0, 255)
