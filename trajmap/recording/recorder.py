"""Record an optimizer's iterates into a run folder, one line in the user's own loop."""

import contextlib
import os
import warnings
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from trajmap._validation import check_choice, check_count, worded
from trajmap.errors import InputError, RecordingWarning
from trajmap.recording._arguments import (
    checked_numbers,
    checked_settings,
    chosen_parameters,
    gradient_norm,
    kept_buffers,
    unwrapped,
)
from trajmap.recording.attachments import Attachments
from trajmap.recording.budget import as_bytes
from trajmap.recording.distributed import role_of
from trajmap.recording.pool import Pool
from trajmap.recording.schedules import Schedule
from trajmap.recording.schedules import every as fixed_interval
from trajmap.recording.selections import Select, requires_grad
from trajmap.recording.sketch import CountSketch
from trajmap.recording.stepping import Stepper
from trajmap.recording.storage import Storage, make_tape
from trajmap.recording.tape import Numbers, Tape

__all__ = ["Recorder"]


class Recorder:
    """Write a model's parameters to a run folder as the optimizer moves them.

    Attached to an optimizer it records the iterate before the first step as step 0, then the iterate after
    every `every`-th step, and on closing the last one. The newest iterate is held in memory until the next one
    comes, so that scalars can still be added to it; use the recorder as a context manager, or close it.

    Model, optimizer, gradients and random states are left as they are. Numbers are stored as they are, NaN
    included: in float64 if a parameter is float64, else in float32, to which narrower ones widen exactly.

    A model that is compiled, wrapped for data parallelism or averaged is recorded under its plain names. Of several
    processes that train copies the first records; where they hold shards (DTensor, FSDP2) each records its own and
    the run opens as one; `by_change` then sees the shard's movement.

    An iterate is the training weights after a whole step: after Lookahead's or SAM's own, not its inner optimizer's,
    and not after a step that a fused kernel skipped for an overflow (``overflows`` of the next iterate counts those).
    An average or a best checkpoint that is put into the model is none; `hold` keeps the last iterate from it.

    Parameters
    ----------
    model : torch.nn.Module
        The model; tied parameters are stored once.
    path : path-like
        The run folder to make, or to go on with.
    every : int
        Record after every `every`-th optimizer step.
    schedule : callable, optional
        Instead of `every`: `log_spaced`, `at_steps`, `by_change`, or a function ``(step, moved) -> bool``.
    on_full : str
        When the disk is slower than the loop: ``"wait"`` for it, or ``"skip"`` the iterate; the scalar ``skipped``
        of the next one then says how many were left out.
    select : callable
        ``select(name, parameter) -> bool``, as `matching` and `lora`; by default the trainable parameters.
    buffers : bool
        Record the state dict's buffers too, so that an iterate can be evaluated with the statistics of its time.
    norms : bool
        Record ``grad_norm``, the norm of the gradient that the step used, and ``update_norm``, the distance to
        the recorded iterate before; both over the recorded parameters.
    dtype : str
        ``"native"``, or ``"delta16"`` for 16-bit differences between rare whole iterates: half the bytes, steps
        right to about 1e-3; the scalar ``delta16_error`` says what was lost.
    sketch : CountSketch, optional
        Record a short random projection instead of the iterate.
    budget : int or str, optional
        Bytes that the run may take, as ``"20GB"`` or ``"500 MiB"``. Before it would take more, every second older
        iterate is removed and the interval doubled; the first and the last are kept, and
        ``trajectory.history.interval`` says how far this went. Without a budget a `DiskWarning` is given once when
        the run would fill half of the disk that was free at its beginning. The end of a training not being known, it
        is taken to be twice as far as the training has come, and at least 1000 steps away where `every` is fixed.
    overwrite : bool
        Replace an existing run folder, at the first iterate and not before; nothing else is ever removed.
    resume : bool
        Go on with the run if there is one: restore the model, then attach. The step is that of `load_state_dict`
        or ``attach(step=…)``, or of the recorded iterate that the model equals. What the run has beyond it is
        superseded, and the seam is kept in ``trajectory.history``.
    settings : dict, optional
        What else to note in ``run.json``; plain JSON, not under the names of the recorder's own settings.

    Raises
    ------
    InputError
        If the path is taken, nothing real is selected, or options contradict each other; before anything is written.
    LayoutError
        If the run to go on with is of another layout, number format or sketch.

    Examples
    --------
    >>> import tempfile
    >>> from trajmap.data.trajectory import Trajectory
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> folder = tempfile.mkdtemp() + "/run"
    >>> with Recorder(model, folder).attach(optimizer) as recorder:
    ...     for _ in range(3):
    ...         loss = model(torch.ones(1, 2)).square().sum()
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         _ = optimizer.step()
    ...         recorder.record(loss=loss.item())
    >>> Trajectory.open(folder).iterates
    Iterates(shape=(4, 3), dtype=float32)
    """

    def __init__(  # ruff: ignore[too-many-arguments] - each is one independent choice, and all have defaults
        self,
        model: torch.nn.Module,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        schedule: Schedule | None = None,
        on_full: str = "wait",
        select: Select = requires_grad,
        buffers: bool = True,
        norms: bool = False,
        dtype: str = "native",
        sketch: CountSketch | None = None,
        budget: int | str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise InputError(worded("model", "a torch.nn.Module", model))
        if schedule is not None and every != 1:
            raise InputError(worded("schedule", "either every or a schedule", "both"))
        self._schedule = fixed_interval(every) if schedule is None else schedule
        wait = check_choice("on_full", on_full, ("wait", "skip")) == "wait"
        model = unwrapped(model)
        role = role_of(Path(path), chosen_parameters(model, select))
        noted = checked_settings(settings, model, every if schedule is None else "schedule")
        self.path, self.layout, self.model = Path(path), role.layout, model
        self._own = list(role.parameters.values())
        self._settings, self._norms = noted, norms
        deltas = check_choice("dtype", dtype, ("native", "delta16")) == "delta16"
        self._every = every if schedule is None else None
        allowed = None if budget is None else as_bytes(budget)
        storage = Storage(deltas, sketch, wait, overwrite, resume, allowed, self._every)
        kept = kept_buffers(model) if buffers and role.is_first else {}
        # processes that another one records for have no tape, and all they do is count
        self._tape = make_tape(role, kept, noted, storage) if self._own else None
        self._restored: int | None = None
        self._loose: Numbers = {}  # scalars of a step that `every` leaves out, should it turn out to be the last
        self._pool = Pool()
        self._step = self._n_due = 0
        self._attached = Attachments(self.path, model, select, self._own)
        self.accumulating: Callable[[], bool] = lambda: False
        self.closed = False

    @property
    def optimizers(self) -> list[Any]:
        """The attached optimizers, in the order in which they came."""
        return self._attached.optimizers

    def attach(self, optimizer: Any, *, step: int | None = None, expected_steps: int | None = None) -> Self:
        """Record after the optimizer's steps; the iterate of now becomes step 0, or the step that is named.

        When iterates were recorded by hand before, the count goes on from the last of them instead. Another optimizer
        may be attached later, as L-BFGS after Adam: its steps go on counting, the scalar ``optimizer`` says which of
        them made an iterate, and ``settings["optimizers"]`` which steps each made.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            The optimizer of the model, the outermost if one holds another; also an object with a ``step`` that holds
            one. Its class, its defaults and the options of its parameter groups are noted in ``run.json``, and each
            group's learning rate, as used by the step, is recorded beside each iterate as ``lr``, ``lr_1``, …
            (step 0 has none).
        step : int, optional
            The optimizer's steps so far; what a resumed run has beyond it is superseded.
        expected_steps : int, optional
            The step at which the training will end, if it is known, for the warning about the disk.

        Returns
        -------
        Recorder
            The recorder itself.

        Raises
        ------
        InputError
            If the recorder is closed or this optimizer attached already, it holds none of the recorded parameters,
            or a run is resumed and neither a step is known nor a recorded iterate equals the model.
        """
        self._require_open()
        optimizer, entry = self._attached.described(optimizer)
        if self._tape is not None and expected_steps is not None:
            self._tape.expect(check_count("expected_steps", expected_steps))
        if self._attached:
            if step is not None and step != self._step:
                raise InputError(worded("step", f"{self._step}, the steps so far", step, "leave step out"))
            self._attached.add(optimizer, entry, self._before_step, self._after_step)
            return self
        self._settings["optimizer"] = entry
        self._step = self._start(self._restored if step is None else check_count("step", step, low=0))
        self._attached.add(optimizer, entry, self._before_step, self._after_step)
        self._note_earlier()
        return self

    def record(self, scalars: Mapping[str, float] | None = None, /, *, step: int | None = None, **named: float) -> None:
        """Add scalars to the present iterate, or record an iterate by hand.

        Attached, scalars go to the iterate that the last optimizer step made. Where `every` leaves that step out
        they are dropped, unless the step turns out to be the last; naming the step records it all the same.

        Without an optimizer, each call records the model as it is now; a call that names the last recorded step
        only adds scalars to it.

        Parameters
        ----------
        scalars : mapping of str to float, optional
            Numbers under any name, as one called ``step``.
        step : int, optional
            Attached, the optimizer's steps so far, the default. By hand, a step not before the last recorded one,
            by default the next; the first of a resumed run may be earlier and supersedes what comes after it.
        **named : float
            Named numbers or one-element tensors, as ``loss=loss.item()``; NaN and inf are kept.

        Raises
        ------
        InputError
            If the recorder is closed, a scalar is no number, or the step is not as above.
        """
        self._require_open()
        numbers = checked_numbers(scalars, named)
        if self._tape is None:
            return
        if self._attached:
            self._record_attached(self._tape, step, numbers)
            return
        first = self._tape.last < 0
        step = self._tape.next_step() if step is None else step
        check_count("step", step, low=max(self._tape.last, 0))
        self._tape.splice(step)
        if step != self._tape.last or not self._tape.amend(numbers):
            self._n_due += step != self._tape.last and not first
            self._tape.take(step, numbers, due=self._n_due)

    def pool(self, scalars: Mapping[str, float] | None = None, /, **named: float) -> None:
        """Keep scalars of one of several batches whose gradients are accumulated.

        The next step's iterate gets the mean over them and what `record` is given after that step.

        Parameters
        ----------
        scalars : mapping of str to float, optional
            Numbers under any name.
        **named : float
            Named numbers, as ``loss=loss.item()``.

        Raises
        ------
        InputError
            If the recorder is closed, or a scalar is no number.
        """
        self._require_open()
        self._pool.add(self._step, checked_numbers(scalars, named))

    def hold(self) -> None:
        """Keep a copy of the present iterate in memory, to be the run's last should no step follow.

        Call it before an average or the best checkpoint is put into the model at the end of a training, where `every`
        or a schedule may have left the last step out. Weights that were changed since the step are not kept.
        """
        self._require_open()
        tape = self._tape
        if tape is None or not self._attached or tape.last == self._step or tape.has_aside(self._step):
            return
        if not self._attached.changed():
            tape.keep_aside(self._step)

    def state_dict(self) -> dict[str, int]:
        """Say how far the run is, to be kept in a checkpoint beside the model's and the optimizer's states."""
        return {"step": self._step if self._attached or self._tape is None else self._tape.last}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Take up where a checkpoint was made, before the optimizer is attached; InputError otherwise."""
        if self._attached:
            raise InputError(worded("state", "to be loaded before attach", "an attached recorder"))
        self._restored = check_count("step", state.get("step"), low=0)

    def close(self) -> None:
        """Record the last iterate if it is not yet, write what is held, and let the optimizer go."""
        self._close(complete=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(complete=kind is None)

    def _close(self, *, complete: bool) -> None:
        """Finish; after an error the present parameters may be half a step, so only what is held is written."""
        if self.closed:
            return
        self._attached.release()
        self.closed = True
        if self._tape is None:
            return
        self._note(self._attached.last_words())
        if complete and self._attached:
            self._take_last(self._tape)
        self._tape.close()

    def _take_last(self, tape: Tape) -> None:
        """Record the last step, unless something else is in the model by now."""
        changed = self._step > 0 and self._attached.changed()
        if changed:
            self._note({"ends": f"the weights were changed after step {self._step}; the last iterate is not they"})
        if tape.last != self._step and not tape.take_aside(self._step, {**self._attached.scalars(), **self._loose}):
            if not changed:
                tape.take(self._step, {**self._attached.scalars(), **self._loose}, wait=True)
                return
            message = f"{self.path}: after step {self._step} the weights were changed by other than the optimizer, as "
            message += f"by an average, so that step is left out and the run ends at step {tape.last}; repair: hold()"
            warnings.warn(message + " or close() before that", RecordingWarning, stacklevel=4)

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Let the attached optimizers step unrecorded and uncounted within a ``with`` block."""
        self._attached.release()
        try:
            yield
        finally:
            self._attached.listen()

    def _start(self, step: int | None) -> int:
        """Take the first iterate, or find out where an earlier session is gone on with."""
        if self._tape is None:
            return step or 0
        if self._tape.last < 0 and self._tape.resumed:
            return self._tape.go_on(step)
        if self._tape.last < 0:
            self._tape.take(step or 0, {}, due=0)
        return self._tape.last

    def _note_earlier(self) -> None:
        """Say in the header what an earlier session, or one by hand, could not."""
        if self._tape is None:
            return
        noted = self._tape.begun_with
        if "optimizer" not in noted:
            self._note({"optimizer": self._settings["optimizer"]})
        elif self._tape.resumed:
            self._attached.begin_from(noted, self._step)

    def _record_attached(self, tape: Tape, step: int | None, numbers: Numbers) -> None:
        if step is not None and step != self._step:
            raise InputError(worded("step", f"{self._step}, the optimizer's steps so far", step, "leave step out"))
        if step is None and self.accumulating():
            self.pool(numbers)
            return
        numbers = self._pool.means(self._step, numbers)
        if step is None and self._step != tape.last:
            self._loose.update(numbers)
            return
        numbers = {**self._loose, **numbers}
        if self._step != tape.last or not tape.amend(numbers):
            tape.take(self._step, {**self._attached.scalars(), **numbers})

    def _before_step(self) -> None:
        if self._tape is not None:
            self._attached.warn_of_moves(self._step, self._tape)

    def _after_step(self, stepper: Stepper) -> None:
        if self._attached.was_skipped(stepper):
            return
        self._step += 1
        self._loose = {}
        self._note(self._attached.stepped(stepper, self._step))
        if self._tape is not None and self._schedule(self._step, self._tape.relative_change):
            self._n_due = self._n_due + 1 if self._every is None else self._step // self._every
            if self._tape.is_due(self._n_due):
                norms = self._step_norms(self._tape)
                self._tape.take(self._step, {**self._attached.scalars(), **norms}, due=self._n_due)
                self._attached.forget_overflows()

    def _note(self, settings: dict[str, Any]) -> None:
        self._settings.update(settings)
        if settings and self._tape is not None:
            self._tape.note(settings)

    def _step_norms(self, tape: Tape) -> Numbers:
        if not self._norms:
            return {}
        return {"grad_norm": gradient_norm(self._own), "update_norm": tape.moved()[0]}

    def _require_open(self) -> None:
        if self.closed:
            raise InputError(worded("recorder", "an open recorder", "a closed one", "make another Recorder"))
