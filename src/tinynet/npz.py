"""Reads .npz files as data, never as code: what is damaged, foreign or hostile is refused by name."""

from __future__ import annotations

import lzma
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.core import Array
from tinynet.errors import DataError

MAX_BYTES = 64 * 2**30
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)


def read_npz(path: str | os.PathLike[str]) -> dict[str, Array]:
    """All arrays of an .npz file by name, in native byte order.

    Booleans, integers, floats, text and bytes are read. Nothing is unpickled, and no memory is taken for more bytes
    than the file says it has.

    Raises
    ------
    DataError
        If the file is missing, damaged, or holds something else.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file. Check the path.")
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Name the .npz file in it.")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            return {info.filename.removesuffix(".npy"): _read(path, archive, info) for info in archive.infolist()}
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: {_what_instead(path)}") from error
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Check the file and its permissions.") from error


def _what_instead(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"PK"):
        return "is cut short or damaged. Copy or write the file again."
    if start == b"\x93NUMPY":
        return "holds a single array without a name (.npy). Save it by name with numpy.savez."
    return "is no .npz file. Save the arrays with numpy.savez."


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for info in members:
        if not info.filename.endswith(".npy"):
            raise DataError(f"{path}: holds {info.filename!r}, which is no array. Save the arrays with numpy.savez.")
        if info.filename in seen:
            raise DataError(f"{path}: holds {_name(info)} twice. Write the file again with each array once.")
        seen.add(info.filename)
    total = sum(info.file_size for info in members)
    if total > MAX_BYTES:
        raise DataError(f"{path}: its arrays take {total / 2**30:.0f} GiB, but at most 64 are read. Save less in one.")


def _name(info: zipfile.ZipInfo) -> str:
    return repr(info.filename.removesuffix(".npy"))


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    try:
        with archive.open(info) as member:
            shape, dtype = _header(path, info, member)
            _check_header(path, info, shape, dtype, info.file_size - member.tell())
        with archive.open(info) as member:
            read: Any = np.lib.format.read_array(member, allow_pickle=False)
    # RuntimeError: encrypted, or compressed in a way that zipfile does not know.
    except (*DAMAGED, RuntimeError, ValueError, MemoryError) as error:
        raise DataError(f"{path}: array {_name(info)} is damaged ({error}). Copy or write the file again.") from error
    array: Array = np.asarray(read, dtype=dtype.newbyteorder("="), order="C")
    # NumPy itself fails on such text only when it is looked at.
    if dtype.kind == "U" and array.size and array.reshape(-1).view(np.uint32).max() > 0x10FFFF:
        raise DataError(f"{path}: array {_name(info)} holds text that is no Unicode. Write the file again.")
    return array


def _header(path: Path, info: zipfile.ZipInfo, member: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        # Format 3.0 differs only in the field names of structured arrays, which are not read anyway.
        shape, _, dtype = readers[np.lib.format.read_magic(member)](member)
    except DAMAGED:
        raise
    # The header is a Python literal, which can be wrong in more ways than NumPy lists.
    except Exception as error:
        raise DataError(f"{path}: {_name(info)} is no plain .npy array. Save the arrays with numpy.savez.") from error
    return shape, dtype


def _check_header(path: Path, info: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
    if dtype.hasobject:
        raise DataError(
            f"{path}: array {_name(info)} holds Python objects, which tinynet does not load; save it as numbers."
        )
    if dtype.kind not in "biufUS" or dtype.itemsize == 0:
        raise DataError(f"{path}: array {_name(info)} is of dtype {dtype}, which tinynet does not read; save numbers.")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != size or any(n < 0 for n in shape):
        raise DataError(
            f"{path}: array {_name(info)} has {size} bytes, but its header says {shape} of {dtype}, {claimed} bytes. "
            "Write the file again."
        )
