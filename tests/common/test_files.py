"""Files that replace others: whole at any moment, and nothing left beside them whoever writes and whatever fails."""

import errno
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import platformdirs
import platformdirs.macos
import platformdirs.unix
import platformdirs.windows
import pytest

from tinynet.common.errors import UsageError
from tinynet.common.files import LOCK, data_folder, held, is_held, replacing, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("old", [None, b"old"])
def test_the_old_one_stands_until_all_is_written(tmp_path, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.exists() == (old is not None)
        assert old is None or path.read_bytes() == old
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_one_and_nothing_else(tmp_path, error):
    def write_half():
        with replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise error

    write_text(tmp_path / "file", "old")
    with pytest.raises(error):
        write_half()
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_failure_at_the_end_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "full").touch()
    with pytest.raises(OSError, match="folder"):
        write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == ["folder"]

    def broken(number):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"), replacing(tmp_path / "file", sync=True) as file:
        file.write(b"text")
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_is_none_is_the_error(tmp_path):
    (tmp_path / "file").touch()
    for error, folder in ((FileNotFoundError, "gone"), (NotADirectoryError, "file")):
        with pytest.raises(error):
            write_text(tmp_path / folder / "name", "text")


def test_writers_of_one_file_at_once_do_not_touch_each_other(tmp_path):
    # As threads they have one process number, as processes in two containers may.
    path, writers, errors = tmp_path / "file", 4, []
    together = threading.Barrier(writers, timeout=10)

    def write(number):
        try:
            with replacing(path) as file:
                together.wait()
                file.write(bytes([number]) * 100_000)
                together.wait()
        except Exception as error:
            errors.append(error)
            together.abort()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    content = path.read_bytes()
    assert len(content) == 100_000
    assert len(set(content)) == 1
    assert names(tmp_path) == ["file"]


# Folders that are held


def refused(folder):
    """Whether a process is refused a folder."""
    code = "import sys, pathlib; from tinynet.common.files import held\nwith held(pathlib.Path(sys.argv[1])): pass"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0 or done.stderr.endswith("\nBlockingIOError\n")
    return done.returncode != 0


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    assert is_held(tmp_path) is False
    assert names(tmp_path) == []
    for _ in range(2):
        with held(tmp_path):
            assert is_held(tmp_path) is True
            assert refused(tmp_path)
            with pytest.raises(BlockingIOError), held(tmp_path):
                pass
            assert is_held(tmp_path) is True
        assert is_held(tmp_path) is False
        assert not refused(tmp_path)
    assert names(tmp_path) == [LOCK]


def test_a_folder_that_moves_stays_held(tmp_path):
    (tmp_path / "a").mkdir()
    with held(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        assert refused(tmp_path / "b")
    assert is_held(tmp_path / "b") is False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("end", [lambda: None, lambda: 1 / 0, lambda: sys.exit(3), lambda: os._exit(0)])
def test_a_fork_does_not_let_go_of_it(tmp_path, end, capfd):
    with held(tmp_path):
        process = multiprocessing.get_context("fork").Process(target=end)
        process.start()
        process.join()
        assert is_held(tmp_path) is True
        assert refused(tmp_path)
    assert is_held(tmp_path) is False


def test_a_process_that_only_looks_is_waited_for(tmp_path):
    with held(tmp_path):
        pass
    looking, seen = held(tmp_path), threading.Event()
    looking.__enter__()
    over = threading.Timer(0.1, lambda: (seen.set(), looking.__exit__(None, None, None)))
    over.start()
    with held(tmp_path):
        assert seen.is_set()
    over.join()


def test_two_who_look_at_once_do_not_take_each_other_for_a_training(tmp_path, monkeypatch):
    with held(tmp_path):
        pass
    answers = iter([False, True])
    monkeypatch.setattr("filelock.lock_descriptor", lambda handle, blocking: next(answers))
    assert is_held(tmp_path) is False


def test_what_a_person_has_under_that_name_is_left(tmp_path):
    (tmp_path / LOCK).write_text("mine")
    with held(tmp_path):
        assert is_held(tmp_path) is True
    assert (tmp_path / LOCK).read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_odd_things_under_that_name_do_no_harm(tmp_path, kind):
    folder, lock = tmp_path / "run", tmp_path / "run" / LOCK
    folder.mkdir()
    {"pipe": os.mkfifo, "link": lambda path: path.symlink_to(tmp_path / "made"), "folder": os.mkdir}[kind](lock)
    with held(folder):
        is_held(folder)
    assert is_held(folder) is (None if kind == "link" else False)
    assert names(tmp_path) == ["run"]


def without_writing(monkeypatch, number):
    """Has the system refuse to open files to write, as of another's or on a disk that is only read."""
    before = os.open

    def only_to_read(path, flags, *mode):
        if flags & (os.O_RDWR | os.O_WRONLY) or (flags & os.O_CREAT and not os.path.exists(path)):
            raise OSError(number, os.strerror(number), str(path))
        return before(path, flags, *mode)

    monkeypatch.setattr(os, "open", only_to_read)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_of_another_is_asked_by_who_can_only_read_it(tmp_path, monkeypatch, number):
    with held(tmp_path):
        without_writing(monkeypatch, number)
        assert is_held(tmp_path) is True
        with pytest.raises(BlockingIOError), held(tmp_path):
            pass
    assert is_held(tmp_path) is False


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_nobody_waits_for_a_pipe_of_another(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / LOCK)
    without_writing(monkeypatch, errno.EACCES)
    assert is_held(tmp_path) is False


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_no_file_is_not_held(tmp_path, monkeypatch, number):
    without_writing(monkeypatch, number)
    with held(tmp_path):
        assert is_held(tmp_path) is False
    assert names(tmp_path) == []


def test_a_folder_that_is_gone_is_not_held(tmp_path):
    with held(tmp_path / "gone"):
        assert is_held(tmp_path / "gone") is False


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EBADF])
def test_without_locks_nothing_is_known_and_nothing_refused(tmp_path, monkeypatch, number):
    def without(handle, blocking):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("filelock.lock_descriptor", without)
    with held(tmp_path), held(tmp_path):
        assert is_held(tmp_path) is None


def test_an_error_within_is_passed_on(tmp_path):
    for error in (OSError, ValueError, KeyboardInterrupt):
        with pytest.raises(error), held(tmp_path):
            raise error
        assert is_held(tmp_path) is False


# The folder of the data


@pytest.fixture
def system(monkeypatch, tmp_path):
    """Makes it a system of this kind, whose user has the home `tmp_path` and set nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TINYNET_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(platformdirs.windows, "get_win_folder", {"CSIDL_LOCAL_APPDATA": str(tmp_path / "Local")}.get)

    def use(kind):
        monkeypatch.setattr(platformdirs, "PlatformDirs", kind)

    use(platformdirs.unix.Unix)
    return use


def test_the_data_folder(system, tmp_path, monkeypatch):
    assert data_folder() == tmp_path / ".cache" / "tinynet"
    system(platformdirs.macos.MacOS)
    assert data_folder() == tmp_path / "Library" / "Caches" / "tinynet"
    system(platformdirs.windows.Windows)
    assert data_folder() == tmp_path / "Local" / "tinynet" / "Cache"
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data_folder() == Path("/cache/tinynet")
    monkeypatch.setenv("TINYNET_DATA", "~/data")
    assert data_folder() == tmp_path / "data"
    monkeypatch.setenv("TINYNET_DATA", "")
    assert data_folder() == Path("/cache/tinynet")
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert data_folder() == Path.cwd() / "cache" / "tinynet"


def test_nobody_at_home_is_told_what_to_set(system, monkeypatch):
    def nobody(*arguments, **options):
        raise RuntimeError

    monkeypatch.setattr(platformdirs, "user_cache_dir", nobody)
    with pytest.raises(UsageError, match="Name a folder in TINYNET_DATA"):
        data_folder()
    monkeypatch.setenv("TINYNET_DATA", "/data")
    assert data_folder() == Path("/data")
