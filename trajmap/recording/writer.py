"""Where a recorder's iterates go: a run folder, written behind the training loop's back."""

import queue
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.store import RunHeader, iterate_path, write_iterate
from trajmap.errors import InputError, RunFormatError

__all__ = ["RunWriter"]

# the iterate that is held, and two on their way to the disk
_BUFFERS = 3


class RunWriter:
    """Write a run in the order it comes, from a bounded number of buffers, on a thread of its own.

    The recorder fills a buffer it has got from `acquire` and gives it to `write`, which returns at once. When
    the disk is slower than the loop no buffer is free, and the recorder waits or skips. The first error of the
    disk ends the writing and is kept in `error`; every iterate before it is on the disk.

    Parameters
    ----------
    path : pathlib.Path
        The run folder to make.
    overwrite : bool
        Replace a run folder that is there, when the new run begins and not before.

    Attributes
    ----------
    n_written : int
        Iterates that are on the disk, flushed: each of them will be read back, whatever happens next.
    error : OSError or None
        What ended the writing.

    Raises
    ------
    InputError
        If the path is taken; anything but an empty folder or a run that may be overwritten is.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.n_written = 0
        self.error: OSError | None = None
        self._path = path
        self._overwrite = overwrite
        self._free: queue.Queue[Array] = queue.Queue()
        self._jobs: queue.Queue[tuple[Array, int, Mapping[str, float]] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._header: RunHeader | None = None
        _require_free(path, overwrite=overwrite)

    def begin(self, header: RunHeader) -> None:
        """Remove the run that is replaced, if any, write the header of the new one, and start the thread."""
        _require_free(self._path, overwrite=self._overwrite)
        if self._path.is_dir():
            _empty(self._path)
        header.write(self._path)
        self._header = header
        for _ in range(_BUFFERS):
            self._free.put(np.empty(header.layout.size, header.dtype))
        self._thread = threading.Thread(target=self._work, name="trajmap-writer", daemon=True)
        self._thread.start()

    def acquire(self, *, wait: bool) -> Array | None:
        """Take a free buffer, shape (P,); None when there is none and waiting is not asked for."""
        try:
            return self._free.get(block=wait)
        except queue.Empty:
            return None

    def write(self, theta: Array, *, step: int, scalars: Mapping[str, float]) -> None:
        """Hand a filled buffer over; it must not be touched again."""
        self._jobs.put((theta, step, scalars))

    def flush(self) -> None:
        """Wait until everything handed over is on the disk, or the writing has failed."""
        self._jobs.join()

    def close(self) -> None:
        """Write what is left and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        assert self._header is not None
        while True:
            job = self._jobs.get()
            try:
                if job is None:
                    return
                theta, step, scalars = job
                if self.error is None:
                    path = iterate_path(self._path, self.n_written)
                    write_iterate(path, theta, self._header.layout, step=step, scalars=scalars)
                    self.n_written += 1
            except OSError as error:
                self.error = error
            finally:
                # buffers come back even after an error, so that the loop never waits for a dead disk
                if job is not None:
                    self._free.put(job[0])
                self._jobs.task_done()


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
