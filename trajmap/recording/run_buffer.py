"""The recorder's buffer: the newest iterate in memory, older ones on their way to the disk."""

import copy
import dataclasses
import functools
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import worded
from trajmap.data.store.run_folder import read_run
from trajmap.data.store.store import RunHeader
from trajmap.errors import InputError
from trajmap.recording.budget import Budget, Pace, bytes_of
from trajmap.recording.held_moments import HeldMoments
from trajmap.recording.moments import Moments
from trajmap.recording.snapshot import Slot, Snapshot
from trajmap.recording.writer import RunWriter

__all__ = ["Numbers", "RunBuffer"]

Numbers = dict[str, float]


class RunBuffer:
    """Take iterates in order; hold the newest until the next comes, so that scalars can be added to it.

    Parameters
    ----------
    path : pathlib.Path
        The run folder.
    writer : RunWriter
        Where iterates go.
    snapshot : Snapshot
        How they are copied.
    header : RunHeader
        The header of the run; its settings may change until the first iterate.
    wait : bool
        Wait for a slow disk, or skip iterates.
    before : callable
        Called with the header before it is written.
    room : Budget or Pace
        The limit of bytes, or the estimate for the disk warning.
    full : tuple of RunBuffer and int, optional
        Another buffer, and the interval at which it takes iterates.

    Attributes
    ----------
    last : int
        Step of the newest iterate, −1 if there is none yet.
    moments : HeldMoments
        Second moments of the iterates.
    """

    def __init__(
        self,
        path: Path,
        writer: RunWriter,
        snapshot: Snapshot,
        header: RunHeader,
        *,
        wait: bool,
        before: Callable[[RunHeader], None],
        room: Budget | Pace,
        full: "tuple[RunBuffer, int] | None",
    ) -> None:
        self.last = -1
        self._before = before
        self._full, self._taken = full, 0
        self._path, self._writer, self._snapshot, self._header = path, writer, snapshot, header
        self._wait = wait
        self._slot: Slot | None = None  # the newest iterate
        self._held: Numbers | None = None  # its scalars, until it is written
        self._due: int | None = None  # its number among the due ones; None if the user recorded it by step
        self._aside: tuple[Slot, int] | None = None  # a copy that becomes the last iterate if no step follows
        self._budget = room if isinstance(room, Budget) else None
        self._pace = room if isinstance(room, Pace) else None
        self.moments = HeldMoments(path, writer, header, self._budget)
        self._n_written = 0  # iterates handed over
        self._skipped: list[int] = []  # steps that found no free slot since the newest iterate
        self._seam: tuple[int, int] | None = None
        self._begun = self._sealed = False
        self._error: Exception | None = None  # what ended the recording on the loop's side
        self._told_error = self._told_lost = False
        if writer.resumed:
            writer.require(header)

    @property
    def resumed(self) -> bool:
        """Whether the folder holds an earlier session."""
        return self._writer.resumed

    def begin(self) -> None:
        """Make the run folder, or open it again, unless this is done."""
        if not self._begun:
            # settings that come later are noted by `note`
            header = dataclasses.replace(self._header, settings=copy.deepcopy(self._header.settings))
            self._before(header)
            self._writer.begin(header, self._snapshot.new_slot)
            self._begun = True
            if self._budget is not None and self._writer.resumed:
                files = {path: path.stat().st_size for path in self._path.glob("iterates/*.safetensors")}
                paths = [row.file.path for row in read_run(self._path)[1]]
                rows = [(int(path.stem), files[path]) for path in paths]
                self._budget.begin_from(rows, sum(files.values()), self._writer.header.thinning)

    def note(self, settings: dict[str, Any]) -> None:
        """Add or replace settings of the run folder."""
        noted = copy.deepcopy(settings)

        def revised(header: RunHeader) -> RunHeader:
            header = dataclasses.replace(header, settings={**header.settings, **noted})
            self._before(header)
            return header

        if self._begun:
            self._writer.revise(revised)

    @property
    def begun_with(self) -> dict[str, Any]:
        """The settings of the run folder when it was created or reopened."""
        return self._writer.header.settings

    def is_due(self, due: int) -> bool:
        """Whether the budget leaves room for the iterate with this number among the due ones."""
        return self._budget is None or self._budget.is_due(due)

    def expect(self, steps: int) -> None:
        """Set the expected number of steps."""
        if self._pace is not None:
            self._pace.expected = steps

    def add_moments(self, moments: Moments | None) -> None:
        """Keep the second moments of the newest iterate, which is the last, unless they are held already."""
        if self._error is None and (self._held is not None or self._n_written):
            self.moments.hold(moments, None)
            if self._held is None:
                self._hand_over_moments()

    def _hand_over_moments(self) -> None:
        self.moments.hand_over(self._writer.first_place + self._n_written - 1, self.last)

    def take(
        self,
        step: int,
        scalars: Numbers,
        *,
        due: int | None = None,
        wait: bool = False,
        moments: Moments | None = None,
    ) -> None:
        """Pass the held iterate to the writer and hold the present one, with its second moments if given."""
        self.begin()
        self._report_failure()
        self._put_back()
        if self._full is not None and self._taken % self._full[1] == 0:
            self._full[0].take(step, scalars, wait=wait)
        self._taken += 1
        slot = None if self._error else self._filled(wait=wait or self._wait)
        if slot is None:
            self._skipped += [] if self._error else [step]
            self._hand_over()
            return
        left_out = [skipped for skipped in self._skipped if skipped < step]
        if left_out:
            scalars = {**scalars, "skipped": float(len(left_out))}
        self._skipped = []
        self._hand_over()  # only now, because the writer's thread would compete with the copy
        self._slot, self.last, self._held, self._due, self._sealed = slot, step, dict(scalars), due, False
        self.moments.hold(moments, due)
        if self._pace is not None:
            self._pace.see(step, self._taken)

    def _filled(self, *, wait: bool) -> Slot | None:
        """Copy the present state into a free slot; None without one, or if the copy fails (the recording ends)."""
        slot = self._writer.acquire(wait=wait)
        if slot is None:
            return None
        try:
            self._snapshot.fill(slot)
        except Exception as error:
            self._writer.release(slot)
            self.stop(error)
            return None
        except BaseException:
            self._writer.release(slot)
            raise
        return slot

    def stop(self, error: Exception) -> None:
        """End the recording after an internal error, with one warning; earlier iterates are written."""
        if self._error is None:
            self._error = error
            self._report_failure()

    @property
    def stopped(self) -> bool:
        """Whether an error has ended the recording."""
        return self._error is not None

    def keep_aside(self, step: int) -> None:
        """Copy the present parameters, in case no step follows and other weights are loaded into the model."""
        self.begin()
        self._put_back()
        slot = None if self._error else self._filled(wait=True)
        self._aside = None if slot is None else (slot, step)

    def take_aside(self, step: int, scalars: Numbers) -> bool:
        """Make the kept copy of a step the newest iterate; False if there is none."""
        if self._aside is None or self._aside[1] != step:
            return False
        self._hand_over()
        self._slot, self.last, self._held, self._due, self._sealed = self._aside[0], step, dict(scalars), None, False
        self._aside = None
        return True

    def has_aside(self, step: int) -> bool:
        """Whether a copy of this step was kept."""
        return self._aside is not None and self._aside[1] == step

    def _put_back(self) -> None:
        if self._aside is not None:
            self._writer.release(self._aside[0])
            self._aside = None

    def add_scalars(self, scalars: Numbers) -> bool:
        """Add scalars to the newest iterate; False if it is written already."""
        if self._held is None:
            return False
        self._held.update(scalars)
        return True

    def moved(self) -> tuple[float, float]:
        """Distance of the present parameters from the newest iterate, and the norm of that."""
        if self._slot is None:
            return 0.0, 0.0
        # the slot may be on its way to the disk: the writer only reads it, and it is filled again by us alone
        return self._snapshot.moved(self._slot)

    def relative_change(self) -> float:
        """Distance of the present parameters from the newest iterate, relative to its norm."""
        moved, norm = self.moved()
        return moved / norm if norm else float(moved > 0)

    @property
    def sealed(self) -> bool:
        """Whether the newest iterate was flushed early, so that nothing can be added to it."""
        return self._sealed

    @property
    def n_durable(self) -> int:
        """Iterates of this session that are on the disk."""
        return self._writer.n_written

    def flush(self) -> None:
        """Write everything to the disk, also the newest iterate, and wait for it."""
        self._sealed = self._held is not None or self._sealed
        self._due = None
        self._hand_over()
        if self._begun:
            self._writer.flush()
        if self._full is not None:
            self._full[0].flush()
        self._report_failure()

    def _hand_over(self) -> None:
        """Pass the held iterate to the writer."""
        if self._held is not None and self._slot is not None:
            if self._has_room(self._held):
                self._writer.write(self._slot, step=self.last, scalars=self._held, seam=self._seam)
                self._n_written += 1
                self._hand_over_moments()
            else:
                self._writer.release(self._slot)
                self.moments.drop()
            self._held = None

    def _has_room(self, scalars: Numbers) -> bool:
        """Make room for the held iterate, unless the interval has become too wide for it."""
        if self._budget is None:
            return True
        place, nbytes = self._writer.first_place + self._n_written, bytes_of(self._header, scalars)
        while self._budget.is_due(self._due) and not self._budget.fits(nbytes):
            thinning = self._budget.thin(place)
            if thinning is None:
                break
            self._writer.revise(functools.partial(dataclasses.replace, thinning=thinning))
            self.moments.forget(thinning)
        if self._budget.is_due(self._due):
            self._budget.add(place, self._due, nbytes)
            return True
        return False

    def close(self) -> None:
        """Write the remaining iterates, always also the newest, and warn if the disk failed."""
        self._due = None
        self._hand_over()
        self._writer.close()
        self._report_failure()
        if self._full is not None:
            self._full[0].close()

    def resume(self, step: int | None) -> int:
        """Resume an earlier session from the present parameters, and note it in the history.

        Without a step, the present parameters must equal a recorded iterate, whose step is taken. If the stored iterate
        of that step differs from the present parameters, it is recorded again.

        Returns
        -------
        int
            The step.

        Raises
        ------
        InputError
            If no step is known.
        """
        self.begin()
        if not read_run(self._path)[1]:  # killed before the first iterate was stored
            self.take(step or 0, {}, due=0)
            return self.last
        slot = self._filled(wait=True)
        if slot is None:
            return step or 0
        slot.wait()
        found = self._find(slot)
        same = found if step is None else step
        if same is None:
            self._writer.release(slot)
            repair = "pass attach(optimizer, step=…), the optimizer's steps so far, or restore by load_state_dict"
            raise InputError(worded("step", "that of the restored model", "none, and no iterate equals it", repair))
        self._seam = (same, self._writer.first_place)
        self._slot, self.last, self._due = slot, same, None
        self._held = None if same == found else {}
        if same == found:  # it is on the disk; the slot stays the reference for comparisons until it is filled again
            self._writer.release(slot)
        if self._full is not None and self._full[0].resumed:
            self._full[0].resume(same)
        return same

    def resume_at(self, step: int) -> None:
        """Resume an earlier session by hand, if there is one: its iterates from a step on are superseded."""
        if self.resumed and self.last < 0:
            self.begin()
            self._seam = (step - 1, self._writer.first_place)
            if self._full is not None:
                self._full[0].resume_at(step)

    def next_step(self) -> int:
        """Return the step after the newest iterate of this session or the previous one."""
        if self.last >= 0 or not self.resumed:
            return self.last + 1
        _, rows, _ = read_run(self._path)
        return rows[-1].file.notes.step + 1 if rows else 0

    def _find(self, slot: Slot) -> int | None:
        """Step of the newest stored iterate that equals the present one bit for bit."""
        crc = 0
        for array in (slot.theta, *slot.buffers):
            crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
        _, rows, _ = read_run(self._path)
        notes = [row.file.notes for row in rows if row.file.notes.kind == "full" and row.file.crc32 == crc]
        return notes[-1].step if notes else None

    def _report_failure(self) -> None:
        """Warn once that the recording ended by a failure of the disk or an internal error; training continues."""
        error = self._error or self._writer.error
        if error is not None and not self._told_error:
            self._told_error = True
            n = self._writer.n_written
            message = f"{self._path}: recording stopped after {n} iterates ({_in_words(error)}); "
            warnings.warn(message + "they are kept, and training continues", RuntimeWarning, stacklevel=5)
        self.moments.report()
        if self._writer.n_lost and not self._told_lost:
            self._told_lost = True
            message = f"{self._path}: an iterate could not be written ({self._writer.trouble}) and is skipped; "
            warnings.warn(
                message + "recording continues, and the scalar skipped counts such iterates",
                RuntimeWarning,
                stacklevel=5,
            )


def _in_words(error: Exception) -> str:
    return str(error) or type(error).__name__
