"""Where a recorder's iterates go: a run folder, one file after the other."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from trajmap._validation import Array, worded
from trajmap.data.store import RunHeader, iterate_path, write_iterate
from trajmap.errors import InputError, RunFormatError

__all__ = ["RunWriter"]


class RunWriter:
    """Write a run in the order it comes; each iterate is on the disk before the call returns.

    The recorder knows these three methods and nothing of files, so that another writer can take this one's place.

    Parameters
    ----------
    path : pathlib.Path
        The run folder to make.
    overwrite : bool
        Replace a run folder that is there, when the new run begins and not before.

    Raises
    ------
    InputError
        If the path is taken; anything but an empty folder or a run that may be overwritten is.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path = path
        self._overwrite = overwrite
        self._count = 0
        _require_free(path, overwrite=overwrite)

    def begin(self, header: RunHeader) -> None:
        """Remove the run that is replaced, if any, and write the header of the new one."""
        _require_free(self._path, overwrite=self._overwrite)
        if self._path.is_dir():
            _empty(self._path)
        header.write(self._path)

    def write(self, theta: Array, header: RunHeader, *, step: int, scalars: Mapping[str, float]) -> None:
        """Write the next iterate; `theta` is the caller's again when this returns."""
        write_iterate(iterate_path(self._path, self._count), theta, header.layout, step=step, scalars=scalars)
        self._count += 1

    def close(self) -> None:
        """Wait until everything is written: nothing to wait for here."""


def _require_free(path: Path, *, overwrite: bool) -> None:
    """Raise unless a run can be made at a path; only a run folder may ever be replaced."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    try:
        RunHeader.read(path)
    except RunFormatError as error:
        raise InputError(
            worded("path", "a new folder, an empty one or a run", f"{path}, which is none", "name another folder")
        ) from error
    if not overwrite:
        raise InputError(
            worded("path", "a new or empty folder", f"{path}, which holds a run", "pass overwrite=True to replace it")
        )


def _empty(folder: Path) -> None:
    # the header goes last: a removal that is interrupted leaves a folder that can still be overwritten
    for child in sorted(folder.iterdir(), key=lambda p: p.name == "run.json"):
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
