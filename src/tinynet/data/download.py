"""Gets the published files of MNIST and Fashion-MNIST: none is ever under its name that was not verified whole."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from tinynet.common.errors import DataError
from tinynet.common.files import replacing

# Called with a file, the bytes of it that have come, and how many there will be, if the server tells; first with 0.
Progress = Callable[[Path, int, int | None], None]

# A dataset downloads its files when it is read, deep in calls that need not know of it.
_watcher: ContextVar[Progress] = ContextVar("watcher", default=lambda path, done, total: None)

TIMEOUT = 20.0  # seconds without a byte
BLOCK = 2**16


@dataclass(frozen=True)
class Published:
    """What a file has to be: the length in bytes and the SHA-256 of its content, or of the .gz itself."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """Where a dataset is published.

    Parameters
    ----------
    mirrors
        Addresses of folders, in the order to try.
    unpack
        Whether `files` tells of the unpacked content, which is the same in every .gz of it, or of one certain .gz.
    files
        By their names, to which the mirrors add .gz.
    """

    mirrors: tuple[str, ...]
    unpack: bool
    files: dict[str, Published]


SOURCES = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        True,
        {
            "train-images-idx3-ubyte": Published(
                47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": Published(
                60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": Published(
                7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": Published(
                10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
    ),
    "fashion-mnist": Source(
        # Plain http: it is the checksum that makes it safe.
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        False,
        {
            "train-images-idx3-ubyte": Published(
                26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte": Published(
                29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte": Published(
                4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte": Published(
                5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
    ),
}


class _RefusedError(Exception):
    """A file that did not come, or is not the published one; its text is the reason."""


@contextmanager
def watched(progress: Progress) -> Iterator[None]:
    """Within it `progress` is told of every download, also of one by a dataset that reads its files.

    A file begins anew when the next mirror is tried.
    """
    token = _watcher.set(progress)
    try:
        yield
    finally:
        _watcher.reset(token)


def locate(folder: Path, file: str, endings: tuple[str, ...] = ("", ".gz")) -> Path | None:
    """The file of this name in a folder, plain or as .gz; None if it has neither."""
    return next((path for ending in endings if (path := folder / f"{file}{ending}").is_file()), None)


def missing(name: str, folder: Path) -> list[str]:
    """The names of a dataset's files that a folder lacks."""
    return [file for file in SOURCES[name].files if locate(folder, file) is None]


def fetch(name: str, folder: Path) -> list[Path]:
    """Download the files of a dataset that a folder lacks; returns those that came. `watched` shows how far it is.

    Parameters
    ----------
    name
        A key of `SOURCES`.
    folder
        For the files of this dataset; made if need be.

    Raises
    ------
    DataError
        If no mirror gives a file that is missing, or the folder cannot be written.
    """
    source, came = SOURCES[name], []
    mirrors = list(source.mirrors)
    for file in missing(name, folder):
        target, reasons = folder / f"{file}.gz", []
        _watcher.get()(target, 0, None)
        for mirror in tuple(mirrors):
            address = f"{mirror}{target.name}"
            try:
                _store(target, _download(address, target), source.files[file], source.unpack)
            except _RefusedError as error:
                reasons.append(f"  {address}: {error}")
                # One that does not answer is not waited for again, as long as others do.
                mirrors.append(mirrors.pop(mirrors.index(mirror)))
            else:
                came.append(target)
                break
        else:
            raise DataError(_advice(name, folder, file, reasons))
    return came


def _advice(name: str, folder: Path, file: str, reasons: list[str]) -> str:
    return "\n".join(
        [
            f"{name}: {file}.gz could not be downloaded:",
            *reasons,
            f"Try again later. Or get what is missing elsewhere ({', '.join(missing(name, folder))}, each as .gz) "
            f"and put it into {folder}",
            f"`tinynet data get {name} --from FOLDER` verifies it and copies it there.",
        ]
    )


def take(name: str, source_folder: Path, folder: Path) -> list[Path]:
    """Copy the files of a dataset that a folder lacks from another one, verified; returns those that came.

    Parameters
    ----------
    name
        A key of `SOURCES`.
    source_folder
        Has the files, as .gz or, where their content can be verified, plain.
    folder
        For the files of this dataset; made if need be.

    Raises
    ------
    DataError
        If a file is not there or is not the published one, or the folder cannot be written.
    """
    source, wanted = SOURCES[name], missing(name, folder)
    endings = ("", ".gz") if source.unpack else (".gz",)
    found = {file: path for file in wanted if (path := locate(source_folder, file, endings))}
    absent = [file for file in wanted if file not in found]
    if absent:
        how = "plain or as .gz" if source.unpack else "as .gz: only that can be verified"
        raise DataError(f"{source_folder}: has no {', '.join(absent)}. Put the published files there, {how}.")
    for file, path in found.items():
        unpack = source.unpack and path.suffix == ".gz"
        try:
            _store(folder / path.name, _blocks(path), source.files[file], unpack)
        except _RefusedError as error:
            raise DataError(f"{path}: {error}. Get the published file of {name}.") from error
    return [folder / path.name for path in found.values()]


def _store(target: Path, blocks: Iterable[bytes], published: Published, unpack: bool) -> None:
    """Write the blocks to a file that gets its name once it is verified; raises _RefusedError if it is another."""
    # A .gz is hardly longer than what it holds.
    most, length = published.size + published.size // 1000 + 1024, 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, sync=True) as file:
            for block in blocks:
                length += len(block)
                if length > most:
                    raise _RefusedError(f"is longer than the published file: over {most:,} bytes")
                file.write(block)
            file.flush()
            _verify(Path(file.name), published, unpack)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror or error}). Free space there, or name another folder in "
            "TINYNET_DATA."
        ) from error


def _verify(path: Path, published: Published, unpack: bool) -> None:
    """Raises _RefusedError if the file, or what is packed in it, is not as published. Never unpacks more than that."""
    digest, length = hashlib.sha256(), 0
    try:
        with gzip.open(path) if unpack else path.open("rb") as file:
            while block := file.read(BLOCK):
                length += len(block)
                if length > published.size:
                    raise _RefusedError(f"holds more than the published {published.size:,} bytes")
                digest.update(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _RefusedError(f"is no whole gzip file ({error})") from error
    if length < published.size:
        raise _RefusedError(f"holds {length:,} bytes instead of the published {published.size:,}")
    if digest.hexdigest() != published.sha256:
        raise _RefusedError(f"is not the published file: its SHA-256 is {digest.hexdigest()}, not {published.sha256}")


def _blocks(path: Path) -> Iterator[bytes]:
    with _reasons(), path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _download(address: str, target: Path) -> Iterator[bytes]:
    # Imported here: it takes longer than all else that a training on other data imports from the standard library.
    from urllib.request import urlopen

    done = 0
    with _reasons():
        answer = urlopen(address, timeout=TIMEOUT)
    with answer:
        total: int | None = getattr(answer, "length", None)
        while True:
            with _reasons():
                block: bytes = answer.read(BLOCK)
            if not block:
                break
            done += len(block)
            _watcher.get()(target, done, total)
            yield block
    if total is not None and done < total:
        raise _RefusedError(f"the connection was closed after {done:,} of {total:,} bytes")


@contextmanager
def _reasons() -> Iterator[None]:
    """Turns what a network or a disk may raise into _RefusedError."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    try:
        yield
    except HTTPError as error:
        error.close()
        raise _RefusedError(_line(f"{error.code} {error.reason}")) from error
    # ValueError: a redirect to what is no address.
    except (OSError, HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, TimeoutError):
            raise _RefusedError(f"no answer within {TIMEOUT:g} s") from error
        raise _RefusedError(_line(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)) from error


def _line(text: str) -> str:
    """The text as one line without control characters: part of it may come from the server."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
