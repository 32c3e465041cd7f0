"""Files that replace others: whole at any moment, and nothing left beside them whoever writes and whatever fails."""

import os
import threading
from pathlib import Path

import platformdirs
import platformdirs.macos
import platformdirs.unix
import platformdirs.windows
import pytest

from tinynet.common.errors import UsageError
from tinynet.common.files import data_folder, replacing, write_text


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
