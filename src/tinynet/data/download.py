"""Gets the published files of MNIST and Fashion-MNIST: none is ever under its name that was not verified whole."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tinynet.common.components import shortened
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
    """Where a dataset is published: addresses of folders, in the order to try, and its files, there with .gz added."""

    mirrors: tuple[str, ...]
    # Whether `files` tells of the unpacked content, which is the same in every .gz of it, or of one certain .gz.
    unpack: bool
    files: dict[str, Published]


FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MNIST = (
    Published(47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    Published(60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    Published(7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    Published(10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)
FASHION_MNIST = (
    Published(26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    Published(29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    Published(4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    Published(5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)
SOURCES = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        True,
        dict(zip(FILES, MNIST, strict=True)),
    ),
    "fashion-mnist": Source(
        # Plain http: it is the checksum that makes it safe.
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        False,
        dict(zip(FILES, FASHION_MNIST, strict=True)),
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

    Raises DataError if no mirror gives a file that is missing, or the folder cannot be written.
    """
    source, came = SOURCES[name], []
    mirrors = list(source.mirrors)
    for file in missing(name, folder):
        target, reasons = folder / f"{file}.gz", []
        _watcher.get()(target, 0, None)
        for mirror in tuple(mirrors):
            address = f"{mirror}{target.name}"
            try:
                with _stored(target, source.files[file], source.unpack) as part:
                    _download(address, part)
            except _RefusedError as error:
                reasons.append(f"  {address}: {error}")
                # One that does not answer is not waited for again, as long as others do.
                mirrors.append(mirrors.pop(mirrors.index(mirror)))
            else:
                came.append(target)
                break
        else:
            lines = [f"{name}: {target.name} could not be downloaded:", *reasons]
            elsewhere = f"elsewhere ({', '.join(missing(name, folder))}, each as .gz)"
            lines.append(f"Try again later. Or get what is missing {elsewhere} and put it into {folder}")
            lines.append(f"`tinynet data get {name} --from FOLDER` verifies it and copies it there.")
            raise DataError("\n".join(lines))
    return came


def take(name: str, source_folder: Path, folder: Path) -> list[Path]:
    """Copy the files of a dataset that a folder lacks from another one, verified; returns those that came.

    They may be plain or .gz there; plain only where it is the content that can be verified. Raises DataError if a file
    is not there or is not the published one, or the folder cannot be written.
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
            with _stored(folder / path.name, source.files[file], unpack) as part:
                _copy(path, part)
        except _RefusedError as error:
            raise DataError(f"{path}: {error}. Get the published file of {name}.") from error
    return [folder / path.name for path in found.values()]


class _Part:
    """A file while it comes, as pooch writes it."""

    total: int | None = None  # bytes that the server has announced

    def __init__(self, file: IO[bytes], target: Path, most: int) -> None:
        self.file, self.target, self.most, self.length = file, target, most, 0

    def write(self, block: bytes) -> None:
        """Add a block; raises _RefusedError if that is too much."""
        self.length += len(block)
        if self.length > self.most:
            raise _RefusedError(f"is longer than the published file: over {self.most:,} bytes")
        try:
            self.file.write(block)
        except OSError as error:
            raise _unwritable(self.target, error) from error
        _watcher.get()(self.target, self.length, self.total)

    def flush(self) -> None:
        """pooch asks for it after each block; once at the end is enough."""


@contextmanager
def _stored(target: Path, published: Published, unpack: bool) -> Iterator[_Part]:
    """A file to write, which gets its name once it is verified; raises _RefusedError if it is another."""
    # A .gz is hardly longer than what it holds.
    most = published.size + published.size // 1000 + 1024
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, sync=True) as file:
            yield _Part(file, target, most)
            file.flush()
            _verify(Path(file.name), published, unpack)
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> DataError:
    why = f"cannot be written ({error.strerror or error})"
    return DataError(f"{target}: {why}. Free space there, or name another folder in TINYNET_DATA.")


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


def _copy(path: Path, part: _Part) -> None:
    try:
        with path.open("rb") as file:
            shutil.copyfileobj(file, part, BLOCK)
    except OSError as error:
        raise _RefusedError(error.strerror or str(error)) from error


def _download(address: str, part: _Part) -> None:
    from pooch import HTTPDownloader  # type: ignore[import-untyped]

    def begins(response: Any, **options: object) -> None:
        length = response.headers.get("Content-Length", "")
        part.total = int(length) if length.isdecimal() else None
        # Where a server calls a .gz an encoding of its content, it would be unpacked on the way.
        response.raw.headers.pop("Content-Encoding", None)

    as_it_is = {"Accept-Encoding": "identity"}
    get = HTTPDownloader(chunk_size=BLOCK, timeout=TIMEOUT, headers=as_it_is, hooks={"response": begins})
    try:
        get(address, part, None)
    except (OSError, ValueError) as error:  # requests raises nothing else
        raise _RefusedError(_reason(error, part.total)) from error


def _reason(error: Exception, total: int | None) -> str:
    """Why a download failed, as one short line without control characters: part of it may come from the server."""
    cause: BaseException = error
    while deeper := cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__):
        cause = deeper
    answer, left = getattr(error, "response", None), getattr(cause, "expected", None)
    if answer is not None and answer.status_code >= 400:
        text = f"{answer.status_code} {answer.reason}"
    elif isinstance(cause, TimeoutError):
        text = f"no answer within {TIMEOUT:g} s"
    elif total is not None and left is not None:
        text = f"the connection was closed after {total - left:,} of {total:,} bytes"
    else:
        text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return shortened(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
