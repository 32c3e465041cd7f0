"""Reading .npz files, alone and as a dataset: what is whole comes back as it was, the rest is refused by name."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinynet.common import memory
from tinynet.common.errors import DataError
from tinynet.common.npz import read_npz
from tinynet.data.own_files import NPZ


def npy(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def header(text: str) -> bytes:
    """An .npy file of format 1.0 that is only a header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


def write_zip(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_npz(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


NUMBERS = hnp.arrays(
    st.sampled_from(
        ["?", "i1", "u1", "<i4", ">i4", "<i8", ">u2", "<f2", "<f4", ">f4", "<f8", ">f8", "<U3", ">U3", "S3"]
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@settings(deadline=None)
@given(array=NUMBERS, fortran=st.booleans(), compressed=st.booleans())
def test_arrays_come_back_as_they_were_in_native_order(tmp_path_factory, array, fortran, compressed):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    (np.savez_compressed if compressed else np.savez)(
        path, **{"deep/name.x": np.asarray(array, order="FC"[not fortran])}
    )
    found = read_npz(path)
    assert list(found) == ["deep/name.x"]
    assert found["deep/name.x"].shape == array.shape
    assert found["deep/name.x"].dtype == array.dtype.newbyteorder("=")
    assert found["deep/name.x"].dtype.isnative
    np.testing.assert_array_equal(found["deep/name.x"], array)


def test_a_checkpoint_s_names_and_text_are_read(tmp_path):
    path = tmp_path / "last.npz"
    np.savez(path, **{"parameters/linear1.weight": np.eye(2, dtype=np.float32), "metadata": np.array('{"é": 1}')})
    found = read_npz(str(path))
    assert set(found) == {"parameters/linear1.weight", "metadata"}
    assert found["metadata"].item() == '{"é": 1}'
    found["parameters/linear1.weight"][0, 0] = 5  # the reader's own copy


def test_missing_folder_and_foreign_files(tmp_path):
    assert refusal(tmp_path / "none.npz") == "no such file. Check the path."
    assert "is a folder" in refusal(tmp_path)
    text = tmp_path / "text.npz"
    text.write_text("hello")
    assert refusal(text) == "is no .npz file. Save the arrays with numpy.savez."
    empty = tmp_path / "empty.npz"
    empty.write_bytes(b"")
    assert "is no .npz file" in refusal(empty)
    single = tmp_path / "single.npz"
    single.write_bytes(npy(np.ones(3)))
    assert "single array without a name" in refusal(single)


@settings(deadline=None)
@given(share=st.floats(0.01, 0.999))
def test_a_truncated_file_is_refused(tmp_path_factory, share):
    path = tmp_path_factory.mktemp("npz") / "cut.npz"
    np.savez(path, x=np.arange(100.0))
    whole = path.read_bytes()
    path.write_bytes(whole[: max(2, int(share * len(whole)))])
    assert refusal(path) == "is cut short or damaged. Copy or write the file again."


@settings(deadline=None)
@given(data=st.data())
def test_any_one_damaged_byte_is_noticed_or_harmless(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("npz") / "bad.npz"
    array = np.arange(20.0)
    np.savez_compressed(path, x=array)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = read_npz(path)
    except DataError:
        return
    # The name and the date are not guarded by a checksum; the values are.
    assert all(np.array_equal(values, array) for values in found.values())


def test_a_wrong_checksum_is_refused(tmp_path):
    path = write_zip(tmp_path / "crc.npz", ("x.npy", npy(np.arange(4.0))))
    content = path.read_bytes()
    place = content.index(np.float64(3.0).tobytes())
    path.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    text = refusal(path)
    assert text.startswith("array 'x' is damaged")
    assert "CRC" in text


def test_a_member_that_is_no_array(tmp_path):
    good = npy(np.ones(1))
    assert "holds 'readme.txt', which is no array" in refusal(
        write_zip(tmp_path / "a.npz", ("x.npy", good), ("readme.txt", b"hello"))
    )
    assert refusal(write_zip(tmp_path / "b.npz", ("x.npy", b"hello, world"))).startswith("'x' is no plain .npy array")


def test_a_name_twice(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = write_zip(tmp_path / "a.npz", ("x.npy", npy(np.ones(1))), ("x.npy", npy(np.zeros(1))))
    assert "holds 'x' twice" in refusal(path)


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_a_pickled_array_runs_no_code(tmp_path):
    target, path = tmp_path / "owned", tmp_path / "evil.npz"
    evil = np.array([Payload(target)], dtype=object)
    np.savez(path, x=evil)
    assert refusal(path) == "array 'x' holds Python objects, which tinynet does not load; save it as numbers."
    assert not target.exists()
    # The payload works: only the reader keeps it from running.
    np.load(path, allow_pickle=True)["x"]
    assert target.exists()


def test_objects_inside_records_are_objects_too(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(2, dtype=[("a", "f8"), ("b", "O")]))
    assert "holds Python objects" in refusal(path)


@pytest.mark.parametrize("dtype", ["f8,i4", "M8[s]", "c16", "V3"])
def test_other_dtypes_are_refused(tmp_path, dtype):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(2, dtype=dtype))
    assert "which tinynet does not read" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -2)}",
    ],
)
def test_a_header_that_claims_what_is_not_there_takes_no_memory(tmp_path, monkeypatch, text):
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("began to read"))
    path = write_zip(tmp_path / "a.npz", ("x.npy", header(text) + bytes(16)))
    found = refusal(path)
    assert found.startswith("array 'x' has 16 bytes, but its header says (")


def test_bytes_behind_the_array_are_refused(tmp_path):
    assert "has 32 bytes" in refusal(write_zip(tmp_path / "a.npz", ("x.npy", npy(np.ones(3)) + bytes(8))))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(" * 5000,
        "-" * 9000 + "1",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 'x'}",
        "__import__('os').abort()",
    ],
)
def test_headers_that_are_nonsense(tmp_path, text):
    assert "'x' is no plain .npy array" in refusal(write_zip(tmp_path / "a.npz", ("x.npy", header(text) + bytes(8))))


def test_text_without_width_is_refused(tmp_path):
    content = header("{'descr': '<U0', 'fortran_order': False, 'shape': (4000000000000,)}")
    assert "which tinynet does not read" in refusal(write_zip(tmp_path / "a.npz", ("x.npy", content)))


def test_text_that_is_no_unicode_is_refused(tmp_path):
    content = header("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}") + b"\xff\xff\xff\x7f"
    assert "text that is no Unicode" in refusal(write_zip(tmp_path / "a.npz", ("x.npy", content)))


def test_format_2_is_read_and_format_3_refused(tmp_path):
    array = np.arange(3)
    path = write_zip(tmp_path / "a.npz", ("x.npy", npy(array, version=(2, 0))))
    np.testing.assert_array_equal(read_npz(path)["x"], array)
    assert "no plain .npy array" in refusal(write_zip(tmp_path / "b.npz", ("x.npy", npy(array, version=(3, 0)))))


def test_too_many_bytes_in_all_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.ones(10), y=np.ones(10))
    total = sum(info.file_size for info in zipfile.ZipFile(path).infolist())
    monkeypatch.setattr(memory, "most", lambda: total)
    assert len(read_npz(path)) == 2
    monkeypatch.setattr(memory, "most", lambda: total - 1)
    assert refusal(path).startswith(f"its arrays take {total} bytes of memory, but there are {total - 1} bytes. Save ")


@pytest.mark.parametrize(("offset", "value"), [(0, 0x01), (2, 99)], ids=["encrypted", "unknown compression"])
def test_members_that_zipfile_cannot_open(tmp_path, offset, value):
    path = write_zip(tmp_path / "a.npz", ("x.npy", npy(np.ones(2))))
    content = bytearray(path.read_bytes())
    # Flags and method stand at 6 and 8 in the local header, at 8 and 10 in the central one.
    content[6 + offset] = content[content.index(b"PK\x01\x02") + 8 + offset] = value
    path.write_bytes(content)
    assert "array 'x' is damaged" in refusal(path)


def dataset(folder: Path, task: str | None = None, **changed: object) -> NPZ:
    whole = {"x_train": np.ones((3, 2)), "y_train": [0, 2, 0], "x_test": np.zeros((2, 2)), "y_test": [1, 0]}
    arrays = {name: np.asarray(values) for name, values in (whole | changed).items() if values is not None}
    np.savez(folder / "data.npz", **arrays)
    return NPZ(str(folder / "data.npz"), task=task)


CHOOSE = "; write task: regression to predict the number"


@pytest.mark.parametrize(
    ("train", "test", "task", "labels", "classes", "note"),
    [
        ([0, 2, 0], [1, 0], None, [0, 2, 0, 1, 0], ["0", "1", "2"], f"whole numbers, so .* 3 classes: 0, 1, 2{CHOOSE}"),
        ([0, 1, 0], [4, 0], None, [0, 1, 0, 4, 0], ["0", "1", "2", "3", "4"], "whole numbers, so this is .* 5 classes"),
        ([True, False, True], [False, True], None, [1, 0, 1, 0, 1], ["0", "1"], "whole numbers, so .* 2 classes: 0, 1"),
        (["b", "ab", "b"], ["c", "b"], None, [1, 0, 1, 2, 1], ["ab", "b", "c"], "text, so .* 3 classes: ab, b, c[.]"),
        (
            [0.0, 2.0, 1.0],
            [1, 0],
            "classification",
            [0, 2, 1, 1, 0],
            ["0", "1", "2"],
            "floating-point numbers; task is",
        ),
    ],
)
def test_targets_that_are_classes(tmp_path, train, test, task, labels, classes, note):
    data = dataset(tmp_path, task, y_train=train, y_test=test).load(0)
    assert np.concatenate([data.train.labels, data.test.labels]).tolist() == labels
    assert data.train.labels.dtype == data.test.labels.dtype == np.intp
    assert data.train.targets is data.test.targets is None
    assert data.description.classes == classes
    assert len(data.notes) == 1
    assert re.match(f"data.npz: y_train holds {note}", data.notes[0])


@pytest.mark.parametrize(
    ("train", "test", "task", "note"),
    [
        ([0.0, 2.0, 1.0], [1.0, 0.0], None, "floating-point numbers, so this is a regression[.]"),
        ([0, 2, 0], [1, 0], "regression", "whole numbers; task is regression, so this is a regression[.]"),
        ([[0, 1], [2, 3], [4, 5]], [[1, 1], [0, 0]], None, "vectors, so this is a regression[.]"),
    ],
)
def test_targets_of_a_regression(tmp_path, train, test, task, note):
    data = dataset(tmp_path, task, y_train=train, y_test=test).load(0)
    for part, values in ((data.train, train), (data.test, test)):
        assert part.labels is None
        assert part.targets.dtype == np.float64
        np.testing.assert_array_equal(part.targets, np.reshape(np.array(values, float), (len(values), -1)))
    assert data.description.classes is None
    assert re.match(f"data.npz: y_train holds {note}", data.notes[0])


def test_inputs_become_float64_with_an_axis_of_their_own(tmp_path):
    data = dataset(tmp_path, x_train=np.array([1, 2, 255], np.uint8), x_test=np.array([3, 4], ">f4")).load(0)
    assert (data.train.x.dtype, data.train.x.tolist()) == (np.float64, [[1], [2], [255]])
    assert (data.test.x.dtype, data.test.x.tolist()) == (np.float64, [[3], [4]])
    assert data.description.input_shape == (1,)
    images = np.arange(60.0).reshape(3, 1, 4, 5)
    data = dataset(tmp_path, x_train=images, x_test=images[:2]).load(0)
    np.testing.assert_array_equal(data.train.x, images)
    assert data.description.input_shape == (1, 4, 5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"y_test": None, "x_test": None, "z": [1]},
            "has no x_test, y_test. It needs .*, and holds x_train, y_train, z",
        ),
        ({"x_train": np.ones((4, 2))}, "x_train has 4 rows, but y_train has 3"),
        ({"y_test": [0]}, "x_test has 2 rows, but y_test has 1"),
        ({"x_test": np.ones((2, 3))}, r"samples of x_train have shape \(2,\), but those of x_test \(3,\)"),
        ({"y_test": [[1], [0]]}, r"samples of y_train have shape \(\), but those of y_test \(1,\)"),
        ({"x_train": [[1, 2], [3, np.nan], [np.inf, 4]]}, "x_train holds nan in row 1. Every number has to be finite"),
        ({"y_train": [1.5, 2, np.inf], "y_test": [0.5, 1]}, "y_train holds inf in row 2"),
        ({"x_test": np.ones((0, 2)), "y_test": np.ones(0, int)}, r"x_test has shape \(0, 2\), which holds no samples"),
        ({"y_train": 3}, r"y_train has shape \(\), which holds no samples"),
        ({"x_train": [["a", "b"]] * 3}, "x_train holds text, but has to hold numbers"),
        ({"y_train": [b"a"] * 3}, "y_train holds bytes, but has to hold numbers"),
        ({"y_train": [0, 1, -1]}, "y_train holds -1 in row 2, which is no class index"),
        ({"y_test": [0, 450_000]}, "y_test holds 450000 in row 1, which is no class index. .* or task: regression"),
        ({"y_test": [0, 0.5]}, "y_test holds 0.5 in row 1, which is no class index"),
        ({"y_train": ["a", "b", "c"]}, "y_train holds text, but y_test whole numbers"),
        ({"y_test": ["a", "b"]}, "y_test holds text, but has to hold numbers"),
        ({"task": "classification", "y_train": [0.5, 1, 2]}, "y_train holds 0.5 in row 0, which is no class index"),
        (
            {"task": "classification", "y_train": [[1]] * 3, "y_test": [[1]] * 2},
            r"y_train has shape \(3, 1\), but class",
        ),
        ({"task": "regression", "y_train": ["a"] * 3, "y_test": ["a"] * 2}, "y_train holds text, but has to hold num"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changed, message):
    with pytest.raises(DataError, match=f"^data.npz: {message}"):
        dataset(tmp_path, **changed).load(0)
