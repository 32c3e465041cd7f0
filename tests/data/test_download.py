"""Downloads from servers of every kind: no file is ever under its name that is not the published one, whole."""

from __future__ import annotations

import gzip
import hashlib
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import threading
import tracemalloc
from contextlib import nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from types import SimpleNamespace

import pytest
from idx_files import FILES

from tinynet.cli.data import NAMES
from tinynet.common.errors import DataError
from tinynet.data import download
from tinynet.data.download import Published, Source, fetch, locate, missing, take, watched
from tinynet.data.mnist import MNIST, FashionMNIST

PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in FILES.items()}
FIRST = next(iter(PACKED))
NAME = "mnist"


def published(contents):
    return {name: Published(len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()}


OF_CONTENT = published(FILES)
OF_FILE = published({name.removesuffix(".gz"): content for name, content in PACKED.items()})


def send(handler, content, status=200, length=None, **headers):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


def good(handler):
    send(handler, PACKED[handler.file])


def wrong(handler):
    content = bytearray(FILES[handler.file.removesuffix(".gz")])
    content[-1] ^= 1
    send(handler, gzip.compress(content))


def another(handler):
    send(handler, PACKED["t10k-labels-idx1-ubyte.gz" if "images" in handler.file else FIRST])


def half(handler):
    content = PACKED[handler.file]
    send(handler, content[: len(content) // 2], length=len(content))


def half_of_unknown_length(handler):
    content = PACKED[handler.file]
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])


def page(handler):
    send(handler, b"<html>Please log in to the network of this hotel</html>", **{"Content-Type": "text/html"})


def empty(handler):
    send(handler, b"")


def absent(handler):
    send(handler, b"<html>", 404)


def moved(handler):
    send(handler, b"", 302, Location=f"/good/{handler.file}")


def circle(handler):
    send(handler, b"", 302, Location=handler.path)


def to_a_file(handler):
    send(handler, b"", 302, Location="file:///etc/passwd")


def to_no_address(handler):
    send(handler, b"", 302, Location="http://[::1")


def of_no_length(handler):
    send(handler, PACKED[handler.file], length="long")


def half_in_chunks(handler):
    content = PACKED[handler.file]
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%b" % (len(content), content[: len(content) // 2]))


def reset(handler):
    content = PACKED[handler.file]
    send(handler, content[:100], length=len(content))
    handler.wfile.flush()
    # Without lingering: what is closed is reset.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def of_odd_letters(handler):
    handler.send_response(404, "\x1b[31mNot\tFound\x1b[0m")
    handler.end_headers()


def of_many_letters(handler):
    handler.send_response(404, "lost " * 10_000)
    handler.end_headers()


def labelled(handler):
    # As some servers do with a .gz that they hold.
    send(handler, PACKED[handler.file], **{"Content-Encoding": "gzip"})


def eager(handler):
    content = PACKED[handler.file]
    if "gzip" in handler.headers.get("Accept-Encoding", ""):
        send(handler, gzip.compress(content), **{"Content-Encoding": "gzip"})
    else:
        send(handler, content)


def silent(handler):
    handler.server.over.wait(10)


def stalled(handler):
    content = PACKED[handler.file]
    send(handler, content[:100], length=len(content))
    handler.wfile.flush()
    handler.server.over.wait(10)


def rude(handler):
    handler.wfile.write(b"what do you want\r\n\r\n")


def bomb(handler):
    # 20 MB in 20 kB: no longer than the published file is.
    send(handler, gzip.compress(bytes(20_000_000)))


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):  # without an end, but for a client that does not mind
        handler.wfile.write(bytes(2**16))


BAD = (wrong, another, half, half_of_unknown_length, page, empty, absent, circle, to_a_file)
BAD += (to_no_address, of_no_length, half_in_chunks, reset, of_odd_letters, of_many_letters, silent, stalled, rude)
BAD += (bomb, endless)
GOOD = (good, moved, labelled, eager)
KINDS = {kind.__name__: kind for kind in (*GOOD, *BAD)}


class Handler(BaseHTTPRequestHandler):
    """Answers /KIND/FILE in the way of KIND."""

    def do_GET(self):
        *_, kind, self.file = self.path.split("/")
        self.server.asked.append(self.path)
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has had enough
            self.server.kinds[kind](self)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server of good and bad mirrors: server.at(*kinds) are their addresses, server.asked what was asked for."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.asked, http.kinds, http.over = [], dict(KINDS), threading.Event()
    base = f"http://127.0.0.1:{http.server_port}"

    def at(*kinds):
        return tuple(f"{base}/{kind}/" for kind in kinds)

    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield SimpleNamespace(at=at, asked=http.asked, kinds=http.kinds)
    http.over.set()
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def mirrors(server, monkeypatch):
    """Makes MNIST the small files of the tests, published at mirrors of these kinds."""

    def use(*kinds, unpack=True, files=None):
        source = Source(server.at(*kinds), unpack, files or (OF_CONTENT if unpack else OF_FILE))
        monkeypatch.setitem(download.SOURCES, NAME, source)
        return source.mirrors

    return use


def whole(folder, contents=PACKED):
    """Whether a folder has the four files and nothing else, hidden ones included."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} == contents


def nothing_in(folder):
    return not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize("unpack", [True, False], ids=["sum of the content", "sum of the file"])
@pytest.mark.parametrize("kind", [kind.__name__ for kind in GOOD])
def test_a_good_server_gives_the_four_files(mirrors, server, tmp_path, kind, unpack):
    mirrors(kind, unpack=unpack)
    folder = tmp_path / "deep" / "mnist"
    assert fetch(NAME, folder) == [folder / name for name in PACKED]
    assert whole(folder)
    server.asked.clear()
    assert fetch(NAME, folder) == []
    assert server.asked == []


REASONS = {
    "wrong": "is not the published file: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}",
    "another": "holds [0-9,]+ bytes instead of the published [0-9,]+",
    "half": "the connection was closed after [0-9,]+ of [0-9,]+ bytes",
    "half_of_unknown_length": "is no whole gzip file .*",
    "page": "is no whole gzip file .*",
    "empty": "holds 0 bytes instead of the published [0-9,]+",
    "absent": "404 Not Found",
    "circle": "Exceeded 30 redirects.",
    "to_a_file": "No connection adapters were found for 'file:///etc/passwd'",
    "to_no_address": "Invalid IPv6 URL",
    "of_no_length": ".*invalid.*'long'",
    "half_in_chunks": "IncompleteRead.*",
    "reset": "Connection reset by peer",
    "of_odd_letters": re.escape("404 [31mNot Found [0m"),
    "of_many_letters": "404 (lost ){39}l…",
    "silent": "no answer within 0.3 s",
    "stalled": "no answer within 0.3 s",
    "rude": "what do you want",
    "bomb": "holds more than the published [0-9,]+ bytes",
    "endless": "is longer than the published file: over [0-9,]+ bytes",
}


def test_every_bad_kind_is_tried():
    assert set(REASONS) == {kind.__name__ for kind in BAD}


@pytest.mark.parametrize("kind", REASONS)
def test_a_bad_server_leaves_nothing_and_is_named_with_its_reason(mirrors, tmp_path, kind):
    (address,) = mirrors(kind)
    folder = tmp_path / "mnist"
    begin = monotonic()
    with pytest.raises(DataError) as caught:
        fetch(NAME, folder)
    assert monotonic() - begin < 3
    assert nothing_in(folder)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert lines[0] == f"mnist: {FIRST} could not be downloaded:"
    assert re.fullmatch(f"  {address}{FIRST}: {REASONS[kind]}", lines[1])
    assert all(name in lines[2] for name in FILES)
    assert lines[2].endswith(f"put it into {folder}")
    assert lines[3].startswith("`tinynet data get mnist --from FOLDER`")


@pytest.mark.parametrize("kind", ["wrong", "another", "half", "page", "empty", "bomb", "endless"])
def test_a_sum_of_the_file_itself_is_as_strict(mirrors, tmp_path, kind):
    mirrors(kind, unpack=False)
    with pytest.raises(DataError):
        fetch(NAME, tmp_path / "mnist")
    assert nothing_in(tmp_path / "mnist")


@pytest.mark.parametrize("kind", REASONS)
def test_the_second_mirror_is_tried_and_the_first_not_waited_for_again(mirrors, server, tmp_path, kind):
    mirrors(kind, "good")
    fetch(NAME, tmp_path)
    assert whole(tmp_path)
    assert sum(path.startswith(f"/{kind}/") and FIRST not in path for path in server.asked) == 0


def test_a_mirror_that_has_some_files_gives_those(mirrors, server, tmp_path):
    mirrors("some", "absent")
    server.kinds["some"] = lambda handler: (good if handler.file.startswith("train") else absent)(handler)
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte[.]gz could not be downloaded") as caught:
        fetch(NAME, tmp_path)
    assert str(caught.value).count("404 Not Found") == 2
    assert whole(tmp_path, {name: content for name, content in PACKED.items() if name.startswith("train")})
    assert missing(NAME, tmp_path) == [name for name in FILES if name.startswith("t10k")]


def test_every_address_is_listed_when_nobody_is_there(mirrors, server, tmp_path, monkeypatch):
    mirrors("good")
    source = Source(("http://127.0.0.1:1/", "http://no-such-host.invalid/", *server.at("absent")), True, OF_CONTENT)
    monkeypatch.setitem(download.SOURCES, NAME, source)
    with pytest.raises(DataError) as caught:
        fetch(NAME, tmp_path)
    text = str(caught.value)
    assert f"  http://127.0.0.1:1/{FIRST}: Connection refused\n" in text
    assert all(f"  {mirror}{FIRST}: " in text for mirror in source.mirrors)
    assert nothing_in(tmp_path)


def test_a_proxy_that_the_environment_names_is_asked(mirrors, server, tmp_path, monkeypatch):
    source = Source(("http://no-such-host.invalid/good/",), True, OF_CONTENT)
    monkeypatch.setitem(download.SOURCES, NAME, source)
    monkeypatch.setenv("http_proxy", server.at("good")[0].removesuffix("/good/"))
    fetch(NAME, tmp_path)
    assert whole(tmp_path)
    assert server.asked[0] == f"http://no-such-host.invalid/good/{FIRST}"


def test_certificates_that_are_not_there_are_not_the_folder_s_fault(mirrors, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    source = Source(("https://127.0.0.1:1/",), True, OF_CONTENT)
    monkeypatch.setitem(download.SOURCES, NAME, source)
    with pytest.raises(DataError, match=r"https://127.0.0.1:1/.*: Could not find .*gone.pem"):
        fetch(NAME, tmp_path / "data")


def test_a_bomb_takes_no_memory(mirrors, tmp_path):
    mirrors("bomb")
    tracemalloc.start()
    with pytest.raises(DataError, match="holds more than the published"):
        fetch(NAME, tmp_path)
    # The server's own 20 MB are taken in this process, too; the client would unpack them a second time.
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 22e6


def test_no_file_has_its_name_before_it_is_whole(mirrors, server, tmp_path):
    seen = []

    def watched(handler):
        content = PACKED[handler.file]
        send(handler, content[:-10], length=len(content))
        seen.append((handler.file, {path.name for path in tmp_path.iterdir()}))
        handler.wfile.write(content[-10:])

    server.kinds["watched"] = watched
    mirrors("watched")
    fetch(NAME, tmp_path)
    assert len(seen) == 4
    for file, names in seen:
        assert file not in names
        (part,) = names - set(PACKED)
        assert re.fullmatch(rf"[.]{re.escape(file)}[.][0-9a-f]{{16}}[.]part", part)
    assert whole(tmp_path)


def test_an_interruption_leaves_nothing(mirrors, tmp_path):
    mirrors("good")

    def interrupt(*progress):
        raise KeyboardInterrupt

    def interrupt_within(path, done, total):
        if done:
            raise KeyboardInterrupt

    for progress in (interrupt, interrupt_within):
        with pytest.raises(KeyboardInterrupt), watched(progress):
            fetch(NAME, tmp_path)
    assert nothing_in(tmp_path)


def test_progress_is_told_in_bytes(mirrors, tmp_path):
    mirrors("good")
    told = []
    with watched(lambda *progress: told.append(progress)):
        fetch(NAME, tmp_path)
    first = {path: (done, total) for path, done, total in reversed(told)}
    last = {path: (done, total) for path, done, total in told}
    assert first == {tmp_path / name: (0, None) for name in PACKED}
    assert last == {tmp_path / name: (len(content), len(content)) for name, content in PACKED.items()}


FETCH = """
import sys
from pathlib import Path
from tinynet.data import download
source = download.Source((sys.argv[1],), True, {files})
download.SOURCES["mnist"] = source
download.fetch("mnist", Path(sys.argv[2]))
"""


@pytest.fixture
def together(server):
    """A kind of server that gives the first file to two clients, both halfway at the same moment."""
    both = threading.Barrier(2)

    def together(handler):
        content = PACKED[handler.file]
        if handler.file == FIRST:
            both.wait(20)
        send(handler, content[:-10], length=len(content))
        if handler.file == FIRST:
            both.wait(20)
        handler.wfile.write(content[-10:])

    server.kinds["together"] = together
    return "together"


def test_two_threads_at_once_do_no_harm(mirrors, server, together, tmp_path):
    mirrors(together)
    errors = []

    def get():
        try:
            fetch(NAME, tmp_path)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=get) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert server.asked.count(f"/together/{FIRST}") == 2
    assert whole(tmp_path)


def test_two_processes_at_once_do_no_harm(server, together, tmp_path):
    files = ", ".join(f"{name!r}: download.Published({p.size}, {p.sha256!r})" for name, p in OF_CONTENT.items())
    code = FETCH.replace("{files}", f"{{{files}}}")
    command = [sys.executable, "-c", code, *server.at(together), str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate(timeout=30)[1], process.returncode) for process in processes] == [("", 0)] * 2
    assert server.asked.count(f"/together/{FIRST}") == 2
    assert whole(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(mirrors, tmp_path):
    mirrors("good")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written .* name another folder in TINYNET_DATA"):
        fetch(NAME, tmp_path / "file" / "mnist")


def test_a_full_disk_is_not_the_mirror_s_fault(mirrors, server, tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    mirrors("good", "good")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)"):
        fetch(NAME, tmp_path)
    assert server.asked == [f"/good/{FIRST}"]
    assert nothing_in(tmp_path)


@pytest.mark.parametrize("get", ["fetch", "take"])
def test_a_disk_that_is_full_in_the_middle_is_not_the_mirror_s_fault(
    mirrors, server, given_files, tmp_path, monkeypatch, get
):
    class Full:
        name = ""

        def write(self, block):
            raise OSError(28, "No space left on device")

    mirrors("good", "good")
    monkeypatch.setattr(download, "replacing", lambda path, sync: nullcontext(Full()))
    with pytest.raises(DataError, match=r"mnist/train-.*: cannot be written \(No space left on device\)"):
        fetch(NAME, tmp_path / "mnist") if get == "fetch" else take(NAME, given_files, tmp_path / "mnist")
    assert server.asked == ([f"/good/{FIRST}"] if get == "fetch" else [])


# From a folder


@pytest.fixture
def given_files(tmp_path):
    """A folder with the four files, two of them plain."""
    folder = tmp_path / "given"
    folder.mkdir()
    for i, (name, content) in enumerate(FILES.items()):
        if i % 2:
            (folder / name).write_bytes(content)
        else:
            (folder / f"{name}.gz").write_bytes(PACKED[f"{name}.gz"])
    return folder


def test_files_are_taken_plain_or_packed(mirrors, given_files, tmp_path, server):
    mirrors("good")
    folder = tmp_path / "mnist"
    came = take(NAME, given_files, folder)
    assert sorted(came) == sorted(folder / path.name for path in given_files.iterdir())
    assert whole(folder, {path.name: path.read_bytes() for path in given_files.iterdir()})
    assert take(NAME, given_files, folder) == []
    assert server.asked == []


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[:-9] + b"123456789"])
@pytest.mark.parametrize("index", [0, 1], ids=["packed", "plain"])
def test_a_wrong_file_is_not_taken(mirrors, given_files, tmp_path, index, change):
    mirrors("good")
    path = locate(given_files, list(FILES)[index])
    path.write_bytes(change(path.read_bytes()) if index else gzip.compress(change(gzip.decompress(path.read_bytes()))))
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: .* Get the published file of mnist"):
        take(NAME, given_files, tmp_path / "mnist")
    assert locate(tmp_path / "mnist", list(FILES)[index]) is None
    assert not list((tmp_path / "mnist").glob(".*"))


def test_a_file_that_cannot_be_read_is_named(mirrors, given_files, tmp_path, monkeypatch):
    def refuse(path, *arguments):
        if path.parent == given_files:
            raise OSError(13, "Permission denied", str(path))
        return open(path, *arguments)

    mirrors("good")
    monkeypatch.setattr(download.Path, "open", refuse)
    with pytest.raises(DataError, match=rf"^{given_files / FIRST}: Permission denied. Get the published file of mnist"):
        take(NAME, given_files, tmp_path / "mnist")


def test_files_that_the_folder_lacks_are_named_before_any_is_copied(mirrors, given_files, tmp_path):
    mirrors("good")
    (given_files / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"given: has no t10k-labels-idx1-ubyte. .*plain or as .gz"):
        take(NAME, given_files, tmp_path / "mnist")
    assert nothing_in(tmp_path / "mnist")


def test_a_plain_file_is_not_taken_where_only_the_packed_one_can_be_verified(mirrors, given_files, tmp_path):
    mirrors("good", unpack=False)
    with pytest.raises(DataError, match=r"has no train-labels-idx1-ubyte, t10k-labels-idx1-ubyte. .*only that can be"):
        take(NAME, given_files, tmp_path / "mnist")


def test_a_sum_of_the_file_itself_is_enough_to_take_it(mirrors, given_files, tmp_path):
    mirrors("good", unpack=False)
    for path in given_files.iterdir():
        path.unlink()
    for name, content in PACKED.items():
        (given_files / name).write_bytes(content)
    take(NAME, given_files, tmp_path / "mnist")
    assert whole(tmp_path / "mnist")


# The published table


def test_the_sums_and_sizes_are_those_published():
    for name, source in download.SOURCES.items():
        assert len(source.files) == 4
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in source.files.values()), name
        assert all(mirror.endswith("/") for mirror in source.mirrors)
    mnist = download.SOURCES["mnist"]
    assert mnist.unpack
    # 8 or 16 bytes of header, then a byte for each label or pixel.
    assert [file.size for file in mnist.files.values()] == [16 + 60000 * 784, 8 + 60000, 16 + 10000 * 784, 8 + 10000]
    assert not download.SOURCES["fashion-mnist"].unpack


# The dataset and the commands


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "mnist"


def test_reading_downloads_what_is_missing(mirrors, server, data):
    mirrors("good")
    assert len(MNIST().load(0).train) == 30
    assert whole(data)
    assert len(MNIST().load(0).test) == 20
    assert len(server.asked) == 4


def test_training_off_line_tells_what_to_do(mirrors, data, cli, write, changed):
    mirrors("absent")
    path = write(changed({"Disk: {train: 40, test: 20}": "MNIST", "- Linear: 5": "- Flatten\n  - Linear: 5"}))
    status, out, err = cli("train", path)
    assert (status, out) == (1, "")
    assert "404 Not Found" in err
    assert "tinynet data get mnist --from FOLDER" in err
    assert not (path.parent / "runs").exists()


def test_the_names_of_the_command_are_those_of_the_datasets():
    assert NAMES == tuple(download.SOURCES) == (MNIST.folder, FashionMNIST.folder)


def test_get_and_list(mirrors, server, data, cli):
    mirrors("good")
    assert cli("data", "list")[1].startswith(f"mnist: missing; `tinynet data get mnist` puts it into {data}\n")
    status, out, err = cli("data", "get", "mnist")
    assert (status, err) == (0, f"Downloading mnist to {data}\n")
    assert out == f"Downloaded and verified 4 files; mnist is complete in {data}\n"
    server.asked.clear()
    assert cli("data", "get", "mnist") == (0, f"mnist is complete in {data}\n", "")
    assert server.asked == []
    assert re.match(rf"mnist: complete, 0\.[0-9] MB in {data}\n", cli("data", "list")[1])
    (data / FIRST).unlink()
    assert cli("data", "list")[1].startswith("mnist: lacks train-images-idx3-ubyte, 0.")
    assert cli("data", "get", "MNIST")[1].startswith("Downloaded and verified 1 file;")
    assert whole(data)


def test_get_from_a_folder(mirrors, server, data, given_files, cli):
    mirrors("absent")
    status, out, err = cli("data", "get", "mnist", "--from", given_files)
    assert (status, err) == (0, "")
    assert out == f"Copied and verified 4 files; mnist is complete in {data}\n"
    assert server.asked == []
    assert cli("data", "get", "mnist", "--from", given_files / "gone")[0] == 2


def test_get_fails_with_one_error(mirrors, data, cli):
    mirrors("page", "absent")
    status, out, err = cli("data", "get", "mnist")
    assert (status, out) == (1, "")
    assert err.count("Error: ") == 1
    assert "404 Not Found" in err
    assert "Traceback" not in err


def test_path_needs_no_numpy(data):
    code = """
import sys
from tinynet.cli import execute
for command in (["path"], ["--help"], ["get", "--help"]):
    assert execute(["data", *command]) == 0
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == str(data.parent)
    assert not set(done.stderr.split()) & {"numpy", "tqdm", "pooch", "requests", "urllib.request"}


def test_datasets_on_the_disk_need_no_network_code(data):
    data.mkdir(parents=True)
    for name, content in PACKED.items():
        (data / name).write_bytes(content)
    code = """
import sys
from tinynet.data.mnist import MNIST
assert len(MNIST().load(0).train) == 30
sys.exit(bool({"pooch", "requests", "urllib3", "urllib.request"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Showing it


@pytest.fixture
def on_terminal(monkeypatch, cli):
    """Runs a command with a terminal as stderr: (exit status, stdout, what the terminal was sent)."""

    def run(*arguments):
        ours, theirs = pty.openpty()
        shown = bytearray()

        def read():
            with suppress(OSError):  # the other end is closed
                while block := os.read(ours, 2**16):
                    shown.extend(block)

        reader = threading.Thread(target=read)
        reader.start()
        with open(theirs, "w") as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            status, out, _ = cli(*arguments)
        reader.join()
        os.close(ours)
        return status, out, shown.decode()

    return run


@pytest.fixture
def on_mnist(write, changed):
    """The path of a config of MNIST."""
    parts = {
        "Disk: {train: 40, test: 20}": "MNIST",
        "- Linear: 5": "- Flatten\n  - Linear: 5",
        "Linear: 2": "Linear: 10",
    }
    return write(changed(parts))


@pytest.mark.parametrize("command", ["get", "train"])
def test_a_terminal_shows_a_bar_for_each_file(mirrors, data, on_terminal, on_mnist, command):
    mirrors("good")
    status, _, shown = on_terminal(*(["data", "get", "mnist"] if command == "get" else ["train", on_mnist]))
    assert status == 0
    # What a line holds in the end.
    lines = [line.split("\r")[-1] for line in shown.replace("\r\n", "\n").split("\n")]
    assert lines[0] == f"Downloading mnist to {data}"
    for line, name in zip(lines[1:5], PACKED, strict=True):
        assert re.match(rf"{re.escape(name)}: 100%\|.*B/s\]$", line)
    assert lines[5] == ("" if command == "get" else "runs/small: 30 train, 20 test samples; 3,985 parameters")


@pytest.mark.parametrize("kind", ["half", "half_of_unknown_length"])
def test_a_bar_begins_anew_with_the_next_mirror(mirrors, data, on_terminal, kind):
    mirrors(kind, "good")
    status, _, shown = on_terminal("data", "get", "mnist")
    assert status == 0
    assert shown.count("Downloading") == 1
    assert all(f"{name}: 100%" in shown for name in PACKED)


def test_a_log_of_a_training_has_one_line_of_the_download(mirrors, data, cli, on_mnist):
    mirrors("absent", "good")
    status, _, err = cli("train", on_mnist)
    assert status == 0, err
    first, second, *_ = err.splitlines()
    assert first == f"Downloading mnist to {data}"
    assert second == "runs/small: 30 train, 20 test samples; 3,985 parameters"
    assert not set("\r█%|") & set(first)
    assert "\r" not in err
    assert err.count("ubyte") == 0
    assert "Downloading" not in cli("train", on_mnist)[2]


def test_a_quiet_training_downloads_in_silence(mirrors, data, cli, on_terminal, on_mnist):
    mirrors("good")
    assert cli("train", on_mnist, "--quiet")[2] == ""
    assert whole(data)
    for path in data.iterdir():
        path.unlink()
    assert on_terminal("train", on_mnist, "--quiet")[2] == ""
    assert whole(data)


def test_a_resumed_training_shows_it_as_well(mirrors, data, cli, on_mnist):
    mirrors("good")
    assert cli("train", on_mnist)[0] == 0
    (data / FIRST).unlink()
    status, _, err = cli("train", "--resume", "runs/small", "--set", "training.epochs=3")
    assert status == 0, err
    assert err.startswith(f"Downloading mnist to {data}\n")
    assert whole(data)


def test_nobody_is_told_of_a_download_after_the_watch(mirrors, tmp_path):
    mirrors("good")
    told = []
    with pytest.raises(ValueError, match="over"), watched(lambda *progress: told.append(progress)):
        raise ValueError("over")
    fetch(NAME, tmp_path)
    assert told == []
