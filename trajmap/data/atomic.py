"""The one way a file of ours is written: aside, under a name of its own, flushed, and renamed into its place."""

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
# what a system says that cannot flush a folder; a disk that fails says something else
_CANNOT = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EROFS, errno.EISDIR, errno.ENOSYS}


def write_parts(path: Path, parts: Iterable[Any]) -> None:
    """Write bytes to a file: it is there whole or not at all, and outlives a power cut once this returns.

    Parameters
    ----------
    path : pathlib.Path
        The file; what it held before is replaced.
    parts : iterable of bytes-like
        Its content, end to end.

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
    """Write what a function puts into an open file, as durably; an error leaves the old file and nothing beside it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    fill : callable
        Called once with the file, open for writing bytes.
    """
    # a name of its own, so that two who write one file do not write into each other's
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
    """Make a rename outlive a power cut; where folders cannot be flushed it is the system's affair."""
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
    """Whether a file's name is that of a write that was cut short."""
    return _PART.fullmatch(name) is not None or name.endswith(".part")
