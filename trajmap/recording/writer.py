"""Write a recorder's iterates to a run folder, in a background thread."""

import contextlib
import dataclasses
import errno
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from trajmap._validation import worded
from trajmap.data.owner import BEAT, Ownership
from trajmap.data.store.second_moments import MomentsNote, moments_path, write_moments
from trajmap.data.store.store import Notes, RunHeader, iterate_path, iterate_place
from trajmap.errors import InputError, LayoutError
from trajmap.recording.encoding import Encoding, FullRows, count_broken
from trajmap.recording.folder import clear_parts, empty, require_free
from trajmap.recording.moments import Moments
from trajmap.recording.snapshot import Slot

__all__ = ["RunWriter"]

# the iterate that is held, and two on their way to the disk
_SLOTS = 3
# seconds between attempts to write one iterate
_BACK_OFF = (0.05, 0.2, 0.5)
# number of consecutive failed iterates that ends the recording
_HOPELESS = 4
# seconds that the loop waits for a disk without any progress
_PATIENCE = 120.0
# errors that a second attempt cannot fix: no space, no folder, no permission
_FINAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EFBIG}

# the writers of this process that have begun and not ended, by folder
_OPEN: "weakref.WeakValueDictionary[str, RunWriter]" = weakref.WeakValueDictionary()

Revision = Callable[[RunHeader], RunHeader]


@dataclasses.dataclass(frozen=True, eq=False)
class _HeldMoments:
    """Second moments to write with an iterate, and the places of those to remove."""

    place: int
    step: int
    due: int
    moments: Moments
    gone: list[int]


class RunWriter:
    """Write a run in order, from a bounded number of slots, in its own thread.

    The recorder fills a slot from `acquire` and passes it to `write`, which returns at once. If the disk is slower than
    the loop, no slot is free, and the recorder waits or skips.

    A failed write is tried four times within a second; then the iterate is skipped, its place stays empty, and the
    scalar ``skipped`` of the next one counts it. A full disk, a removed folder, another writer, or four consecutive
    failed iterates end the writing, and the error is kept in `error`; all earlier iterates are on the disk. Waiting for
    a disk without progress ends after two minutes.

    Parameters
    ----------
    path : pathlib.Path
        The run folder to make.
    overwrite : bool
        Replace an existing run folder when the new run begins.
    resume : bool
        Continue an existing run folder.
    encoding : Encoding, optional
        How an iterate becomes a file; whole by default.
    slots : int
        Maximum number of iterates in memory: the one being filled, and those on their way to the disk.

    Attributes
    ----------
    n_written : int
        Number of iterates that are flushed to the disk and can be read after a crash.
    error : Exception or None
        What ended the writing.
    n_lost : int
        Iterates that were skipped because they could not be written.
    trouble : Exception or None
        The error of the last of them.
    moments_trouble : Exception or None
        The error of writing second moments; iterates are not affected.
    resumed : bool
        Whether the folder holds a run to resume.

    Raises
    ------
    InputError
        If the path is taken: it is neither an empty folder nor a run that may be overwritten or resumed.
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
        self.n_written = self.n_lost = 0
        self._slots = slots
        self.error: Exception | None = None
        self.trouble: Exception | None = None
        self.moments_trouble: Exception | None = None
        self._path, self._overwrite, self._resume = path, overwrite, resume
        self._encoding = FullRows() if encoding is None else encoding
        self._free: queue.Queue[Slot] = queue.Queue()
        self._jobs: queue.Queue[tuple[Slot, Notes] | _HeldMoments | Revision | threading.Event | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._header: RunHeader | None = None
        self._owner: Ownership | None = None
        self._pid = os.getpid()
        self._n_handled = self._n_moves = self._in_a_row = 0
        self._told_lost = 0  # number of lost iterates that an iterate on the disk has already counted
        self._moves_waited_for, self._waited_since = -1, 0.0
        self.resumed = require_free(path, overwrite=overwrite, resume=resume)
        self._first = self._next_place() if self.resumed else 0

    def require(self, header: RunHeader) -> None:
        """Raise LayoutError unless the run to resume has this layout and number format."""
        found = RunHeader.read(self._path)
        header.layout.require(found.layout, str(self._path))
        for name in ("dtype", "buffers", "sketch", "checkpoints"):
            mine, theirs = getattr(header, name), getattr(found, name)
            if mine != theirs:
                repair = "resume with the original options of the run, or record into another folder"
                raise LayoutError(worded(str(self._path), f"{name} {mine}", f"{theirs}", repair))

    def begin(self, header: RunHeader, new_slot: Callable[[], Slot]) -> None:
        """Remove the replaced run, if any, write the header of the new one, and start the thread.

        Raises
        ------
        InputError
            If the folder cannot be written, or another process writes it.
        """
        require_free(self._path, overwrite=self._overwrite, resume=self._resume)
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._relieve()
            self._owner = Ownership(self._path)
            self._prepare(header)
        except OSError as error:
            self._release()
            repair = "name another folder, or make room in this one"
            raise InputError(worded(str(self._path), "a folder that can be written", str(error), repair)) from error
        except BaseException:
            self._release()
            raise
        for _ in range(self._slots):
            self._free.put(new_slot())
        self._thread = threading.Thread(target=self._work, name="trajmap-writer", daemon=True)
        self._thread.start()

    def _relieve(self) -> None:
        """End an earlier writer of this process on the same folder, for example one left by a notebook."""
        name = str(self._path.resolve())
        earlier = _OPEN.get(name)
        if earlier is not None and earlier._pid == os.getpid():
            earlier.close()
            earlier.error = InputError(worded(name, "one recorder", "another one that continues the run"))
        _OPEN[name] = self

    def _prepare(self, header: RunHeader) -> None:
        # checked again, because from here on nobody else can begin
        self.resumed = require_free(self._path, overwrite=self._overwrite, resume=self._resume)
        clear_parts(self._path)
        if self.resumed:
            self.require(header)
            found = RunHeader.read(self._path)
            header = dataclasses.replace(
                header, settings=found.settings, thinning=found.thinning, identity=found.identity
            )
            _remove_dropped(self._path, header)
            self._first = self._next_place()
        else:
            empty(self._path)
            self._first = 0
            header.write(self._path)
        self._header = header

    def _release(self) -> None:
        if self._owner is not None:
            self._owner.release()
            self._owner = None
        with contextlib.suppress(OSError):
            self._path.rmdir()  # which is empty if it was just created

    @property
    def first_place(self) -> int:
        """Place in the run of the first iterate that this writer writes."""
        return self._first

    def _next_place(self) -> int:
        taken = [iterate_place(path) for path in self._path.glob("iterates/*.safetensors")]
        thinning = RunHeader.read(self._path).thinning
        last = max((place for place in taken if place is not None), default=-1)
        return max(last + 1, thinning.below if thinning else 0)

    @property
    def header(self) -> RunHeader:
        """Contents of ``run.json`` when the writing began."""
        assert self._header is not None
        return self._header

    def acquire(self, *, wait: bool) -> Slot | None:
        """Take a free slot; None if there is none and waiting was not requested or is useless."""
        with contextlib.suppress(queue.Empty):
            return self._free.get(block=False)
        while wait and self._may_wait():
            with contextlib.suppress(queue.Empty):
                return self._free.get(timeout=0.2)
        return None

    def _may_wait(self) -> bool:
        """Whether the thread lives and the disk made progress recently; if not, later calls do not wait."""
        if self._thread is None or not self._thread.is_alive():
            return False
        now = time.monotonic()
        if self._moves_waited_for != self._n_moves:
            self._moves_waited_for, self._waited_since = self._n_moves, now
        return now - self._waited_since < _PATIENCE

    def write(
        self, slot: Slot, *, step: int, scalars: Mapping[str, float], seam: tuple[int, int] | None = None
    ) -> None:
        """Queue a filled slot; it must not be changed again."""
        self._jobs.put((slot, Notes(step, scalars, seam=seam)))

    def write_moments(self, place: int, step: int, moments: Moments, *, due: int, gone: list[int]) -> None:
        """Queue the second moments of a queued iterate, and the places of those to remove."""
        self._jobs.put(_HeldMoments(place, step, due, moments, gone))

    def release(self, slot: Slot) -> None:
        """Return a slot that is not to be written."""
        self._free.put(slot)

    def revise(self, revision: Revision) -> None:
        """Replace the header after the queued items, then remove the iterates that it drops."""
        self._jobs.put(revision)

    def flush(self) -> bool:
        """Wait until all queued items are on the disk or the writing has failed; return whether they are."""
        done = threading.Event()
        self._jobs.put(done)
        while not done.is_set() and self._may_wait():
            done.wait(0.2)
        return done.is_set() and self.error is None

    def close(self) -> None:
        """Write the rest and end the thread; a disk without progress is not waited for."""
        if self._thread is None:
            return
        self._jobs.put(None)
        while self._may_wait():
            self._thread.join(0.2)
        if self._thread.is_alive() and self.error is None:
            self.error = TimeoutError(f"the disk has not responded for {_PATIENCE:.0f} s")
        elif self._owner is not None:
            self._owner.release()
        self._thread = None

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=BEAT)
            except queue.Empty:
                self._beat()
                continue
            try:
                if job is None:
                    return
                if isinstance(job, threading.Event):
                    job.set()
                elif self.error is None:
                    self._beat()
                    self._do(job)
            except Exception as error:
                self.error = error
            finally:
                self._n_moves += 1
                # slots come back even after an error, so that the loop never waits for a dead disk
                if isinstance(job, tuple):
                    self._free.put(job[0])

    def _do(self, job: tuple[Slot, Notes] | _HeldMoments | Revision) -> None:
        if isinstance(job, tuple):
            self._write(*job)
        elif isinstance(job, _HeldMoments):
            self._write_moments(job)
        else:
            self._revise(job)

    def _write_moments(self, job: _HeldMoments) -> None:
        self._require_own()
        try:
            for place in job.gone:
                moments_path(self._path, place).unlink(missing_ok=True)
            if iterate_path(self._path, job.place).exists():  # else it could not be written
                note = MomentsNote(self.header.identity, job.place, job.step, job.due)
                found = job.moments
                write_moments(self._path, note, found.values, found.counts, found.sizes)
        except OSError as error:
            self.moments_trouble = error

    def _beat(self) -> None:
        if self._owner is not None:
            self._owner.beat()

    def _revise(self, revision: Revision) -> None:
        assert self._header is not None
        header = revision(self._header)
        self._require_own()
        self._persist(lambda: header.write(self._path))
        self._header = header
        _remove_dropped(self._path, header)

    def _write(self, slot: Slot, notes: Notes) -> None:
        assert self._header is not None
        header = self._header
        slot.wait()
        self._require_own()
        place = self._first + self._n_handled
        self._n_handled += 1
        untold = self.n_lost - self._told_lost
        scalars = {**notes.scalars, "skipped": notes.scalars.get("skipped", 0.0) + untold} if untold else notes.scalars
        noted = Notes(notes.step, scalars, seam=notes.seam, broken=count_broken(slot.theta, header.dtype))
        path = iterate_path(self._path, place)
        try:
            self._persist(lambda: self._encoding.write(path, header, slot, noted))
        except OSError as error:
            self._lose(error)
            return
        self.n_written += 1
        self._in_a_row, self._told_lost = 0, self.n_lost

    def _lose(self, error: OSError) -> None:
        """Skip an iterate, unless the next would fail too."""
        self._in_a_row += 1
        if error.errno in _FINAL or self._in_a_row >= _HOPELESS:
            raise error
        self.n_lost += 1
        self.trouble = error

    def _persist(self, write: Callable[[], None]) -> None:
        """Write, with further attempts if they may help."""
        for pause in (*_BACK_OFF, None):
            try:
                write()
                return
            except OSError as error:
                # if the previous iterate could not be written either, one attempt is enough
                if pause is None or error.errno in _FINAL or self._in_a_row:
                    raise
                time.sleep(pause)
                self._n_moves += 1

    def _require_own(self) -> None:
        if self._owner is not None and not self._owner.holds():
            raise InputError(
                worded(str(self._path), "a run of this process", "one that another process has taken over")
            )


def _remove_dropped(path: Path, header: RunHeader) -> None:
    """Remove the iterates that the header on the disk no longer lists; an interrupted removal does no harm."""
    if header.thinning is not None:
        for file in path.glob("iterates/*.safetensors"):
            place = iterate_place(file)
            if place is not None and header.thinning.drops(place):
                moments_path(path, place).unlink(missing_ok=True)
                file.unlink(missing_ok=True)
