"""Atomic writing of files: under a temporary name, flushed, and renamed to the final name."""

import contextlib
import errno
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

__all__ = ["is_part", "sync_folder", "write_parts", "write_stream"]

_PART = re.compile(r".+\.[0-9a-f]{8}\.part")
# errors of systems that cannot flush a folder; a failing disk has other errors
_CANNOT = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EROFS, errno.EISDIR, errno.ENOSYS}


def write_parts(path: Path, parts: Iterable[Any]) -> None:
    """Write bytes to a file atomically; after the return it survives a power failure.

    Parameters
    ----------
    path : pathlib.Path
        The file; its old content is replaced.
    parts : iterable of bytes-like
        Parts of its content, in order.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_parts(Path(folder) / "words", [b"two ", b"words"])
    ...     (Path(folder) / "words").read_text(), len(os.listdir(folder))
    ('two words', 1)
    """

    def fill(file: IO[bytes]) -> None:
        for part in parts:
            file.write(part)

    write_stream(path, fill)


def write_stream(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file by a function, atomically and durably; an error keeps the old file and leaves no temporary one.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    fill : callable
        Called once with the file, open for writing bytes.
    """
    # a unique name, so that two writers of one file do not share a temporary file
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with aside.open("xb") as file:
            fill(file)
            file.flush()
            _sync(file.fileno())
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power failure, if the system can flush folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    """Flush a file to the disk itself; on macOS ``fsync`` leaves it in the disk's own cache."""
    if sys.platform == "darwin":
        import fcntl

        with contextlib.suppress(OSError):  # not every file system has it
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def is_part(name: str) -> bool:
    """Whether a file's name is the temporary name of an interrupted write."""
    return _PART.fullmatch(name) is not None or name.endswith(".part")
