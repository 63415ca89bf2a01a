"""What a recorder writes on: the newest iterate in memory, the older ones on their way to the disk."""

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
from trajmap.recording.beside import Beside
from trajmap.recording.budget import Budget, Pace, bytes_of
from trajmap.recording.moments import Moments
from trajmap.recording.snapshot import Slot, Snapshot
from trajmap.recording.writer import RunWriter

__all__ = ["Numbers", "RunBuffer"]

Numbers = dict[str, float]


class RunBuffer:
    """Take iterates one after the other; hold the newest until the next comes, so that scalars can be added to it.

    Parameters
    ----------
    path : pathlib.Path
        The run folder.
    writer : RunWriter
        Where iterates go.
    snapshot : Snapshot
        How they are copied.
    header : RunHeader
        What the run folder will say; its settings may change until the first iterate.
    wait : bool
        Wait for a slow disk, or skip iterates.
    before : callable
        Called with the header before it is written.
    room : Budget or Pace
        The bytes it may take, or an eye on those that it takes.
    beside : tuple of RunBuffer and int, optional
        Another buffer, and how many iterates it leaves out to take the next.

    Attributes
    ----------
    last : int
        Step of the newest iterate, −1 if there is none yet.
    moments : Beside
        Second moments beside the iterates.
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
        beside: "tuple[RunBuffer, int] | None",
    ) -> None:
        self.last = -1
        self._before = before
        self._beside, self._taken = beside, 0
        self._path, self._writer, self._snapshot, self._header = path, writer, snapshot, header
        self._wait = wait
        self._slot: Slot | None = None  # the newest iterate
        self._held: Numbers | None = None  # its scalars, until it is written
        self._due: int | None = None  # its number among the due ones; none if it was asked for by name
        self._aside: tuple[Slot, int] | None = None  # a copy that becomes the last iterate if no step follows
        self._budget = room if isinstance(room, Budget) else None
        self._pace = room if isinstance(room, Pace) else None
        self.moments = Beside(path, writer, header, self._budget)
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
        """Add to the settings that the run folder tells, or replace some."""
        noted = copy.deepcopy(settings)

        def revised(header: RunHeader) -> RunHeader:
            header = dataclasses.replace(header, settings={**header.settings, **noted})
            self._before(header)
            return header

        if self._begun:
            self._writer.revise(revised)

    @property
    def begun_with(self) -> dict[str, Any]:
        """The settings that the run folder told when it was made or opened again."""
        return self._writer.header.settings

    def is_due(self, due: int) -> bool:
        """Whether the budget leaves room for the iterate with this number among the due ones."""
        return self._budget is None or self._budget.is_due(due)

    def expect(self, steps: int) -> None:
        """Say how many steps the training will take."""
        if self._pace is not None:
            self._pace.expected = steps

    def add_moments(self, moments: Moments | None) -> None:
        """Keep second moments beside the newest iterate, which is the last, unless they are there."""
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
        """Hand the iterate that is held to the writer and hold the present one, with its second moments if given."""
        self.begin()
        self._report_failure()
        self._put_back()
        if self._beside is not None and self._taken % self._beside[1] == 0:
            self._beside[0].take(step, scalars, wait=wait)
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
        self._hand_over()  # only now, since the writer's thread would run against the copy
        self._slot, self.last, self._held, self._due, self._sealed = slot, step, dict(scalars), due, False
        self.moments.hold(moments, due)
        if self._pace is not None:
            self._pace.see(step, self._taken)

    def _filled(self, *, wait: bool) -> Slot | None:
        """Copy the present state into a free slot; None if there is none, or if the copy fails, which ends it all."""
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
        """End the recording after an error of ours, with one warning; what was taken before is written."""
        if self._error is None:
            self._error = error
            self._report_failure()

    @property
    def stopped(self) -> bool:
        """Whether an error has ended the recording."""
        return self._error is not None

    def keep_aside(self, step: int) -> None:
        """Copy the present parameters, in case no step follows and something else is put into the model."""
        self.begin()
        self._put_back()
        slot = None if self._error else self._filled(wait=True)
        self._aside = None if slot is None else (slot, step)

    def take_aside(self, step: int, scalars: Numbers) -> bool:
        """Make the copy of a step that was kept aside the newest iterate; False if there is none."""
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
        """Whether the newest iterate was handed over before its time, so that nothing can be added to it."""
        return self._sealed

    @property
    def n_durable(self) -> int:
        """Iterates of this session that are on the disk."""
        return self._writer.n_written

    def flush(self) -> None:
        """Hand everything to the disk and wait until it is there, the newest iterate too."""
        self._sealed = self._held is not None or self._sealed
        self._due = None
        self._hand_over()
        if self._begun:
            self._writer.flush()
        if self._beside is not None:
            self._beside[0].flush()
        self._report_failure()

    def _hand_over(self) -> None:
        """Hand the iterate that is held to the writer."""
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
        """Make room for the iterate that is held, or find that the interval has become too wide for it."""
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
        """Write what is left, the newest iterate whatever its number, and warn if the disk failed."""
        self._due = None
        self._hand_over()
        self._writer.close()
        self._report_failure()
        if self._beside is not None:
            self._beside[0].close()

    def resume(self, step: int | None) -> int:
        """Continue an earlier session from the present parameters, and mark the seam.

        Without a step, the present parameters must be those of a recorded iterate; its step is taken. Unless the
        iterate of that step is on the disk as it is now, it is taken anew.

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
        if not read_run(self._path)[1]:  # killed before the first iterate was there
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
        if same == found:  # it is on the disk; the slot stays what we compare with until it is filled again
            self._writer.release(slot)
        if self._beside is not None and self._beside[0].resumed:
            self._beside[0].resume(same)
        return same

    def resume_at(self, step: int) -> None:
        """Continue an earlier session by hand, if there is one: what it has from a step on is superseded."""
        if self.resumed and self.last < 0:
            self.begin()
            self._seam = (step - 1, self._writer.first_place)
            if self._beside is not None:
                self._beside[0].resume_at(step)

    def next_step(self) -> int:
        """Give the step after the newest iterate, of this session or the one before."""
        if self.last >= 0 or not self.resumed:
            return self.last + 1
        _, rows, _ = read_run(self._path)
        return rows[-1].file.notes.step + 1 if rows else 0

    def _find(self, slot: Slot) -> int | None:
        """Step of the newest stored iterate that is the present one to the last bit."""
        crc = 0
        for array in (slot.theta, *slot.buffers):
            crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
        _, rows, _ = read_run(self._path)
        notes = [row.file.notes for row in rows if row.file.notes.kind == "full" and row.file.crc32 == crc]
        return notes[-1].step if notes else None

    def _report_failure(self) -> None:
        """Warn once that the disk failed, or we did: training goes on, recording does not."""
        error = self._error or self._writer.error
        if error is not None and not self._told_error:
            self._told_error = True
            n = self._writer.n_written
            message = f"{self._path}: recording stopped after {n} iterates ({_in_words(error)}); "
            warnings.warn(message + "they are kept, and training goes on", RuntimeWarning, stacklevel=5)
        self.moments.report()
        if self._writer.n_lost and not self._told_lost:
            self._told_lost = True
            message = f"{self._path}: an iterate could not be written ({self._writer.trouble}) and is left out; "
            warnings.warn(
                message + "recording goes on, and the scalar skipped counts such", RuntimeWarning, stacklevel=5
            )


def _in_words(error: Exception) -> str:
    return str(error) or type(error).__name__
