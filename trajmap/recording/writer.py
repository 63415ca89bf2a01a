"""Where a recorder's iterates go: a run folder, written behind the training loop's back."""

import dataclasses
import queue
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from trajmap._validation import worded
from trajmap.data.store import Notes, RunHeader, iterate_path
from trajmap.errors import FolderTakenError, InputError, LayoutError, RunFormatError
from trajmap.recording.encoding import Encoding, FullRows, count_broken
from trajmap.recording.snapshot import Slot

__all__ = ["RunWriter"]

# the iterate that is held, and two on their way to the disk
_SLOTS = 3

Revision = Callable[[RunHeader], RunHeader]


class RunWriter:
    """Write a run in the order it comes, from a bounded number of slots, on a thread of its own.

    The recorder fills a slot it has got from `acquire` and gives it to `write`, which returns at once. When
    the disk is slower than the loop no slot is free, and the recorder waits or skips. The first error of the
    disk ends the writing and is kept in `error`; every iterate before it is on the disk.

    Parameters
    ----------
    path : pathlib.Path
        The run folder to make.
    overwrite : bool
        Replace a run folder that is there, when the new run begins and not before.
    resume : bool
        Go on with a run folder that is there.
    encoding : Encoding, optional
        How an iterate becomes a file; whole by default.
    slots : int
        Iterates in memory at most: the one that is filled, and those on their way to the disk.

    Attributes
    ----------
    n_written : int
        Iterates that are on the disk, flushed: each of them will be read back, whatever happens next.
    error : Exception or None
        What ended the writing.
    resumed : bool
        Whether the folder holds a run to go on with.

    Raises
    ------
    InputError
        If the path is taken; anything but an empty folder or a run that may be overwritten or resumed is.
    """

    def __init__(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        resume: bool = False,
        encoding: Encoding | None = None,
        slots: int = _SLOTS,
    ) -> None:
        if overwrite and resume:
            raise InputError(worded("resume", "either overwrite or resume", "both"))
        self.n_written, self._slots = 0, slots
        self.error: Exception | None = None
        self._path, self._overwrite, self._resume = path, overwrite, resume
        self._encoding = FullRows() if encoding is None else encoding
        self._free: queue.Queue[Slot] = queue.Queue()
        self._jobs: queue.Queue[tuple[Slot, Notes] | Revision | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._header: RunHeader | None = None
        self.resumed = _require_free(path, overwrite=overwrite, resume=resume)
        self._first = self._next_place() if self.resumed else 0

    def require(self, header: RunHeader) -> None:
        """Raise LayoutError unless the run to go on with is of this layout and number format."""
        found = RunHeader.read(self._path)
        header.layout.require(found.layout, str(self._path))
        for name in ("dtype", "buffers", "sketch", "checkpoints"):
            mine, theirs = getattr(header, name), getattr(found, name)
            if mine != theirs:
                repair = "resume with the options that began the run, or record into another folder"
                raise LayoutError(worded(str(self._path), f"{name} {mine}", f"{theirs}", repair))

    def begin(self, header: RunHeader, new_slot: Callable[[], Slot]) -> None:
        """Remove the run that is replaced, if any, write the header of a new one, and start the thread."""
        self.resumed = _require_free(self._path, overwrite=self._overwrite, resume=self._resume)
        if self.resumed:
            self.require(header)
            for part in self._path.glob("iterates/*.part"):
                part.unlink(missing_ok=True)
            found = RunHeader.read(self._path)
            header = dataclasses.replace(header, settings=found.settings, thinning=found.thinning)
            _remove_dropped(self._path, header)
        else:
            if self._path.is_dir():
                _empty(self._path)
            self._first = 0
            header.write(self._path)
        self._header = header
        for _ in range(self._slots):
            self._free.put(new_slot())
        self._thread = threading.Thread(target=self._work, name="trajmap-writer", daemon=True)
        self._thread.start()

    @property
    def first_place(self) -> int:
        """Place in the run of the first iterate that this writer writes."""
        return self._first

    def _next_place(self) -> int:
        taken = [int(p.stem) for p in self._path.glob("iterates/*.safetensors") if p.stem.isdigit()]
        thinning = RunHeader.read(self._path).thinning
        return max(max(taken, default=-1) + 1, thinning.below if thinning else 0)

    @property
    def header(self) -> RunHeader:
        """What ``run.json`` said when the writing began."""
        assert self._header is not None
        return self._header

    def acquire(self, *, wait: bool) -> Slot | None:
        """Take a free slot; None when there is none and waiting is not asked for."""
        try:
            return self._free.get(block=wait)
        except queue.Empty:
            return None

    def write(
        self, slot: Slot, *, step: int, scalars: Mapping[str, float], seam: tuple[int, int] | None = None
    ) -> None:
        """Hand a filled slot over; it must not be touched again."""
        self._jobs.put((slot, Notes(step, scalars, seam=seam)))

    def release(self, slot: Slot) -> None:
        """Give a slot back that is not to be written."""
        self._free.put(slot)

    def revise(self, revision: Revision) -> None:
        """Replace the header after what was handed over so far, then remove what it drops."""
        self._jobs.put(revision)

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
        while True:
            job = self._jobs.get()
            try:
                if job is None:
                    return
                if self.error is None:
                    self._write(*job) if isinstance(job, tuple) else self._revise(job)
            except Exception as error:
                self.error = error
            finally:
                # slots come back even after an error, so that the loop never waits for a dead disk
                if isinstance(job, tuple):
                    self._free.put(job[0])
                self._jobs.task_done()

    def _revise(self, revision: Revision) -> None:
        assert self._header is not None
        self._header = revision(self._header)
        self._header.write(self._path)
        _remove_dropped(self._path, self._header)

    def _write(self, slot: Slot, notes: Notes) -> None:
        assert self._header is not None
        slot.wait()
        noted = Notes(notes.step, notes.scalars, seam=notes.seam, broken=count_broken(slot.theta, self._header.dtype))
        path = iterate_path(self._path, self._first + self.n_written)
        self._encoding.write(path, self._header, slot, noted)
        self.n_written += 1


def _require_free(path: Path, *, overwrite: bool, resume: bool) -> bool:
    """Raise unless a run can be made at a path; say whether there is one to go on with."""
    if not path.exists() or (path.is_dir() and _is_blank(path)):
        return False
    try:
        RunHeader.read(path)
    except RunFormatError as error:
        raise InputError(
            worded("path", "a new folder, an empty one or a run", f"{path}, which is none", "name another folder")
        ) from error
    if not overwrite and not resume:
        repair = "pass overwrite=True to replace it, or resume=True to go on with it"
        raise FolderTakenError(worded("path", "a new or empty folder", f"{path}, which holds a run", repair))
    return resume


def _remove_dropped(path: Path, header: RunHeader) -> None:
    """Remove the iterates that the header on the disk no longer counts; a removal cut short is no harm."""
    if header.thinning is not None:
        for file in path.glob("iterates/*.safetensors"):
            if file.stem.isdigit() and header.thinning.drops(int(file.stem)):
                file.unlink(missing_ok=True)


def _is_blank(folder: Path) -> bool:
    """Whether a folder is empty, or holds no more than a run that was killed before its header was written."""
    names = {child.name for child in folder.iterdir()}
    return names <= {"run.json.part", "iterates"} and not any(folder.glob("iterates/*"))


def _empty(folder: Path) -> None:
    # the header goes last: a removal that is interrupted leaves a folder that can still be overwritten
    for child in sorted(folder.iterdir(), key=lambda p: p.name == "run.json"):
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
