"""What is written and named on systems other than the one under the tests: their names are put in place of ours."""

import errno
import fcntl
import os
import pathlib
import sys

import pytest

from trajmap.data.atomic import sync_folder, write_parts
from trajmap.data.store.store import iterate_place

FULL_SYNC = 51  # the number of F_FULLFSYNC on macOS


def test_macos_flushes_the_disks_own_cache(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULL_SYNC, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda handle, command: asked.append((os.fstat(handle).st_size, command)))
    write_parts(tmp_path / "words", [b"two ", b"words"])
    assert asked == [(9, FULL_SYNC)]  # when all of it is written
    assert (tmp_path / "words").read_bytes() == b"two words"


def test_a_file_system_without_full_flushes_is_synced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULL_SYNC, raising=False)
    monkeypatch.setattr(os, "fsync", synced.append)
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError, match="Invalid argument"):
        fcntl.fcntl(file.fileno(), FULL_SYNC)  # this system's kernel refuses the command itself
    write_parts(tmp_path / "words", [b"words"])
    assert len(synced) == 2  # the file, then the folder
    assert (tmp_path / "words").read_bytes() == b"words"


def test_a_system_that_cannot_open_folders(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path, flags, *rest):
        if pathlib.Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    sync_folder(tmp_path)
    write_parts(tmp_path / "words", [b"words"])
    assert (tmp_path / "words").read_bytes() == b"words"


@pytest.mark.parametrize("folder", ["C:\\runs\\my run\\iterates\\", "C:/runs/iterates/", "\\\\host\\share\\", ""])
def test_places_in_paths_of_windows(folder, monkeypatch):
    monkeypatch.setattr(os, "sep", "\\")
    assert iterate_place(f"{folder}000000000042.safetensors") == 42
    assert iterate_place(f"{folder}x000000000042.safetensors") is None
