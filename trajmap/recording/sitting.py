"""The steps of one recording session: which become iterates, with which scalars, and how it ends."""

import dataclasses
import os
import warnings
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from trajmap._validation import check_count, worded
from trajmap.errors import InputError, RecordingWarning
from trajmap.recording.attachments import Attachments
from trajmap.recording.moments import Moments, keeps_moments
from trajmap.recording.run_buffer import Numbers, RunBuffer
from trajmap.recording.scalars import Pool
from trajmap.recording.schedules import Schedule
from trajmap.recording.snapshot import local_tensor
from trajmap.recording.stepping import Stepper

__all__ = ["Plan", "Sitting"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """When to record, and which norms to add.

    Parameters
    ----------
    schedule : callable
        The schedule.
    every : int or None
        Its interval, if fixed.
    measured : list of torch.Tensor
        Parameters whose gradient norm and update norm are recorded; none by default.
    """

    schedule: Schedule
    every: int | None
    measured: list[torch.Tensor]


class Sitting:
    """Count the steps from the creation of a recorder to its closing, and fill the buffer.

    Parameters
    ----------
    path : pathlib.Path
        The run folder, for warnings.
    buffer : RunBuffer or None
        Where iterates go; None if another process records.
    attached : Attachments
        The optimizers.
    settings : dict
        Settings of ``run.json`` until the buffer has begun.
    plan : Plan
        When to record.
    """

    def __init__(
        self, path: Path, buffer: RunBuffer | None, attached: Attachments, settings: dict[str, Any], plan: Plan
    ) -> None:
        self.path, self.buffer, self.attached, self._settings, self._plan = path, buffer, attached, settings, plan
        self.restored: int | None = None
        self.accumulating: Callable[[], bool] = lambda: False
        self.step = self._n_due = 0
        self._loose: Numbers = {}  # scalars of a step that `every` skips, in case it is the last
        self._pool = Pool()
        self._pid = os.getpid()
        self._told_fork = self._told_sealed = self._keeps_moments = False
        if buffer is not None:
            # held iterates are written when the interpreter exits or this object is collected
            self._finish = weakref.finalize(self, _finish, buffer, self._pid)

    def attach(self, optimizer: Any, step: int | None, moments: int) -> None:
        """Watch an optimizer from now on; keep its second moments at a limited number of iterates."""
        optimizer, entry = self.attached.described(optimizer)
        wanted = moments if self.buffer is not None and not self._keeps_moments and keeps_moments(optimizer) else 0
        self._attach(optimizer, entry, step)
        if wanted and self.buffer is not None:
            self._keeps_moments = True
            self.buffer.moments.keep(wanted, self.step)

    def _attach(self, optimizer: Any, entry: dict[str, Any], step: int | None) -> None:
        if self.attached:
            if step is not None and step != self.step:
                raise InputError(worded("step", f"{self.step}, the steps so far", step, "omit step"))
            self.attached.add(optimizer, entry, self._before_step, self._after_step)
            return
        self._settings["optimizer"] = entry
        self.step = self._start(self.restored if step is None else check_count("step", step, low=0))
        self.attached.add(optimizer, entry, self._before_step, self._after_step)
        self._note_earlier()

    def record(self, step: int | None, numbers: Numbers) -> None:
        """Add scalars to the present iterate, or record one by hand."""
        if self.buffer is None or self._is_forked():
            return
        if self.attached:
            self._record_attached(self.buffer, step, numbers)
            return
        first = self.buffer.last < 0
        step = self.buffer.next_step() if step is None else step
        check_count("step", step, low=max(self.buffer.last, 0))
        self.buffer.resume_at(step)
        if self._is_sealed(self.buffer, step, numbers):
            return
        if step != self.buffer.last or not self.buffer.add_scalars(numbers):
            self._n_due += step != self.buffer.last and not first
            self.buffer.take(step, numbers, due=self._n_due)

    def pool(self, numbers: Numbers) -> None:
        """Keep the scalars of one of several batches of a step."""
        self._pool.add(self.step, numbers)

    def hold(self) -> None:
        """Keep a copy of the present iterate in case it is the last."""
        buffer = self.buffer
        if (
            buffer is None
            or self._is_forked()
            or not self.attached
            or buffer.last == self.step
            or buffer.has_aside(self.step)
        ):
            return
        if not self.attached.changed():
            buffer.keep_aside(self.step)

    def close(self, *, complete: bool) -> None:
        """Finish; after an error the present parameters may be half a step, so only held iterates are written."""
        self.attached.release()
        if self.buffer is None or self._is_forked():
            return
        self._finish.detach()
        self._note(self.attached.last_words())
        if complete and self.attached and not self.buffer.stopped:
            self._take_last(self.buffer)
        self.buffer.close()

    def _take_last(self, buffer: RunBuffer) -> None:
        """Record the last step, unless other weights are in the model by now."""
        changed = self.step > 0 and self.attached.changed()
        if changed:
            self._note({"ends": f"the weights were changed after step {self.step} and are not the last iterate"})
        last = {**self.attached.scalars(), **self._loose}
        aside = buffer.last != self.step and buffer.take_aside(self.step, last)
        if buffer.last == self.step and (aside or not changed):
            buffer.add_moments(self._moments(buffer, None))
        elif buffer.last != self.step and not changed:
            buffer.take(self.step, last, wait=True, moments=self._moments(buffer, None))
        elif buffer.last != self.step:
            message = f"{self.path}: after step {self.step} something other than the optimizer, such as an "
            message += f"average, changed the weights, so that step is skipped and the run ends at step {buffer.last}; "
            warnings.warn(message + "repair: call hold() or close() before that", RecordingWarning, stacklevel=4)

    def _start(self, step: int | None) -> int:
        """Record the first iterate, or determine where an earlier session is resumed."""
        if self.buffer is None:
            return step or 0
        if self.buffer.last < 0 and self.buffer.resumed:
            return self.buffer.resume(step)
        if self.buffer.last < 0:
            self.buffer.take(step or 0, {}, due=0)
        return self.buffer.last

    def _note_earlier(self) -> None:
        """Add the optimizers to the header of an earlier session or one recorded by hand."""
        if self.buffer is None:
            return
        noted = self.buffer.begun_with
        if "optimizer" not in noted:
            self._note({"optimizer": self._settings["optimizer"]})
        elif self.buffer.resumed:
            self.attached.begin_from(noted, self.step)

    def _record_attached(self, buffer: RunBuffer, step: int | None, numbers: Numbers) -> None:
        if step is not None and step != self.step:
            raise InputError(worded("step", f"{self.step}, the optimizer's steps so far", step, "omit step"))
        if step is None and self.accumulating():
            self.pool(numbers)
            return
        numbers = self._pool.means(self.step, numbers)
        if step is None and self.step != buffer.last:
            self._loose.update(numbers)
            return
        if self._is_sealed(buffer, self.step, numbers):
            return
        numbers = {**self._loose, **numbers}
        if self.step != buffer.last or not buffer.add_scalars(numbers):
            buffer.take(self.step, {**self.attached.scalars(), **numbers})

    def flush(self) -> None:
        """Wait until everything recorded is on the disk."""
        if self.buffer is not None and not self._is_forked():
            self.buffer.flush()

    @property
    def n_durable(self) -> int:
        """Iterates of this session that are on the disk."""
        return 0 if self.buffer is None else self.buffer.n_durable

    def _is_forked(self) -> bool:
        """Whether this is a forked copy of the recording process: it has no writer thread and does not own the run."""
        if os.getpid() == self._pid:
            return False
        if not self._told_fork:
            self._told_fork = True
            message = f"{self.path}: process {self._pid} records this run, so the steps of its copy {os.getpid()} are "
            warnings.warn(message + "not recorded; repair: make a Recorder there", RecordingWarning, stacklevel=4)
        return True

    def _is_sealed(self, buffer: RunBuffer, step: int, numbers: Numbers) -> bool:
        """Whether the iterate of a step was flushed already, so that scalars come too late for it."""
        if step != buffer.last or not buffer.sealed:
            return False
        if numbers and not self._told_sealed:
            self._told_sealed = True
            message = f"{self.path}: step {step} was flushed before its scalars {', '.join(numbers)} came, which are "
            warnings.warn(message + "left out; repair: record, then flush", RecordingWarning, stacklevel=4)
        return True

    def _before_step(self) -> None:
        if self.buffer is None or self.buffer.stopped or self._is_forked():
            return
        try:
            self.attached.warn_of_moves(self.step, self.buffer)
        except Warning:  # the user turned warnings into errors
            raise
        except Exception as error:  # no error of the recorder stops a training
            self.buffer.stop(error)

    def _after_step(self, stepper: Stepper) -> None:
        if self.buffer is None:
            self._count(stepper)
        elif not self._is_forked():
            try:
                self._count(stepper)
            except Warning:
                raise
            except Exception as error:  # as above
                self.buffer.stop(error)

    def _count(self, stepper: Stepper) -> None:
        if self.attached.was_skipped(stepper):
            return
        self.step += 1
        self._loose = {}
        if self.buffer is not None and self.buffer.stopped:
            return
        self._note(self.attached.stepped(stepper, self.step))
        if self.buffer is not None and self._plan.schedule(self.step, self.buffer.relative_change):
            self._n_due = self._n_due + 1 if self._plan.every is None else self.step // self._plan.every
            if self.buffer.is_due(self._n_due):
                norms = self._step_norms(self.buffer)
                moments = self._moments(self.buffer, self._n_due)
                self.buffer.take(self.step, {**self.attached.scalars(), **norms}, due=self._n_due, moments=moments)
                self.attached.forget_overflows()

    def _moments(self, buffer: RunBuffer, due: int | None) -> Moments | None:
        """Copy the optimizers' second moments if they are due; a failure here affects nothing else."""
        if not self._keeps_moments or buffer.stopped or not buffer.moments.wants(due):
            return None
        try:
            return self.attached.moments()
        except Exception as error:
            buffer.moments.lose(error)
            return None

    def _note(self, settings: dict[str, Any]) -> None:
        self._settings.update(settings)
        if settings and self.buffer is not None:
            self.buffer.note(settings)

    def _step_norms(self, buffer: RunBuffer) -> Numbers:
        if not self._plan.measured:
            return {}
        return {"grad_norm": _gradient_norm(self._plan.measured), "update_norm": buffer.moved()[0]}


def _finish(buffer: RunBuffer, pid: int) -> None:
    """Write the held iterates of an unclosed recording, in the process that recorded it."""
    if os.getpid() == pid:
        buffer.close()


@torch.no_grad()
def _gradient_norm(parameters: Sequence[torch.Tensor]) -> float:
    """Norm of the gradient over the parameters that have one, summed in float64; NaN if none has."""
    gradients = [local_tensor(p.grad) for p in parameters if p.grad is not None]
    if not gradients:
        return float("nan")
    return sum(float(gradient.double().square().sum()) for gradient in gradients) ** 0.5
