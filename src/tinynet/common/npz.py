"""Reads .npz files as data, never as code: what is damaged, foreign or hostile is refused by name."""

from __future__ import annotations

import lzma
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from tinynet.common import memory
from tinynet.common.arrays import Array
from tinynet.common.errors import DataError, readable
from tinynet.common.files import opened

LONGEST_HEADER = 10_000  # bytes, NumPy's own bound
MOST_AXES = 32  # NumPy 1's bound
DEFLATE = 1032  # times that a byte can grow in unpacking, at most
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)


def read_npz(path: str | os.PathLike[str], packed: bool = True) -> dict[str, Array]:
    """All arrays of an .npz file by name, in native byte order; without `packed` none may be compressed.

    Booleans, integers, floats, text and bytes are read. Nothing is unpickled, and no memory is taken for more bytes
    than the file can hold, or than there is memory for. Raises DataError if the file is missing, damaged, too large, or
    holds something else.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise DataError("is a folder. Name the .npz file in it.")
        with opened(path) as file:
            if file is None:
                raise DataError("no such file. Check the path.")
            return _arrays(file, packed)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Check the file and its permissions.") from error


def _arrays(file: IO[bytes], packed: bool) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(file) as archive:
            _check_members(archive.infolist(), os.fstat(file.fileno()).st_size, packed)
            return {info.filename.removesuffix(".npy"): _read(archive, info) for info in archive.infolist()}
    except zipfile.BadZipFile as error:
        file.seek(0)
        raise DataError(_what_instead(file.read(6))) from error


def _what_instead(start: bytes) -> str:
    if start.startswith(b"PK"):
        return "is cut short or damaged. Copy or write the file again."
    if start == b"\x93NUMPY":
        return "holds a single array without a name (.npy). Save it by name with numpy.savez."
    return "is no .npz file. Save the arrays with numpy.savez."


def _check_members(members: list[zipfile.ZipInfo], size: int, packed: bool) -> None:
    seen: set[str] = set()
    for info in members:
        if not info.filename.endswith(".npy"):
            raise DataError(f"holds {info.filename!r}, which is no array. Save the arrays with numpy.savez.")
        if info.filename in seen:
            raise DataError(f"holds {_name(info)} twice. Write the file again with each array once.")
        seen.add(info.filename)
        if not packed and info.compress_type != zipfile.ZIP_STORED:
            raise DataError(f"array {_name(info)} is compressed. Save it uncompressed, with numpy.savez.")
        growth = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: DEFLATE}.get(info.compress_type)
        if growth is not None and info.file_size > growth * info.compress_size:
            given = f"says that it has {info.file_size:,} bytes, but {info.compress_size:,} cannot hold them"
            raise DataError(f"array {_name(info)} {given}. Copy or write the file again.")
    if sum(info.compress_size for info in members) > size:
        raise DataError("its arrays are said to be longer than the file. Copy or write it again.")
    lacking = memory.shortage(sum(info.file_size for info in members))
    if lacking:
        raise DataError(f"its arrays take {lacking}. Save fewer or smaller ones in a file.")


def _name(info: zipfile.ZipInfo) -> str:
    return repr(info.filename.removesuffix(".npy"))


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    name = _name(info)
    try:
        with archive.open(info) as member:
            shape, dtype = _header(name, member)
            _check_header(name, shape, dtype, info.file_size - member.tell())
        with archive.open(info) as member:
            read: Any = np.lib.format.read_array(member, allow_pickle=False)
    # RuntimeError: encrypted, or compressed in a way that zipfile does not know.
    except (*DAMAGED, RuntimeError, ValueError) as error:
        said = readable(str(error))[:200]
        raise DataError(f"array {name} is damaged ({said}). Copy or write the file again.") from error
    except MemoryError as error:
        size = memory.amount(info.file_size)
        raise DataError(f"array {name} takes {size}, more memory than is free. Save less.") from error
    array: Array = np.asarray(read, dtype=dtype.newbyteorder("="), order="C")
    # NumPy itself fails on such text only when it is looked at.
    if dtype.kind == "U" and array.size and array.reshape(-1).view(np.uint32).max() > 0x10FFFF:
        raise DataError(f"array {name} holds text that is no Unicode. Write the file again.")
    return array


def _header(name: str, member: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        start = member.read(12)
        # Checked first: the length may be 4 GiB, and NumPy reads the header before it looks at it.
        if int.from_bytes(start[8 : 10 if start[6:7] == b"\1" else 12], "little") > LONGEST_HEADER:
            raise ValueError
        member.seek(0)
        # Format 3.0 differs only in the field names of structured arrays, which are not read anyway.
        shape, _, dtype = readers[np.lib.format.read_magic(member)](member)
    except DAMAGED:
        raise
    # The header is a Python literal, which can be wrong in more ways than NumPy lists.
    except Exception as error:
        raise DataError(f"{name} is no plain .npy array. Save the arrays with numpy.savez.") from error
    return shape, dtype


def _check_header(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
    if dtype.hasobject:
        raise DataError(f"array {name} holds Python objects, which tinynet does not load; save it as numbers.")
    if dtype.kind not in "biufUS" or dtype.itemsize == 0:
        raise DataError(f"array {name} is of dtype {dtype}, which tinynet does not read; save numbers.")
    # In a product with 0 an axis may have any length; True is a whole number to Python.
    possible = len(shape) <= MOST_AXES and all(type(n) is int and 0 <= n < 2**63 for n in shape)
    if not possible or math.prod(shape) * dtype.itemsize != size:
        claim = f"has {size:,} bytes, but its header says {shape} of {dtype}"
        raise DataError(f"array {name} {claim}. Write the file again.")
