"""Record an optimizer's iterates into a run folder, one line in the user's own loop."""

import contextlib
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from trajmap._validation import check_choice, check_count, worded
from trajmap.errors import InputError
from trajmap.recording._arguments import (
    as_number,
    checked_settings,
    chosen_parameters,
    gradient_norm,
    kept_buffers,
    plain_options,
    require_optimizer,
    unwrapped,
    unwrapped_optimizer,
)
from trajmap.recording.distributed import role_of
from trajmap.recording.schedules import Schedule
from trajmap.recording.schedules import every as fixed_interval
from trajmap.recording.selections import Select, requires_grad
from trajmap.recording.sketch import CountSketch
from trajmap.recording.tape import Numbers, Storage, Tape, make_tape

__all__ = ["Recorder"]


class Recorder:
    """Write a model's parameters to a run folder as the optimizer moves them.

    Attached to an optimizer it records the iterate before the first step as step 0, then the iterate after
    every `every`-th step, and on closing the last one. The newest iterate is held in memory until the next one
    comes, so that scalars can still be added to it; use the recorder as a context manager, or close it.

    Model, optimizer, gradients and random states are left as they are. Numbers are stored as they are, NaN
    included, in the parameters' own format; where they differ, in float64 if one is float64, else in float32, to which
    narrower ones widen exactly.

    A model that is compiled, wrapped for data parallelism or averaged is recorded under its plain names. Of several
    processes that train copies the first records; where they hold shards (DTensor, FSDP2) each records its own and
    the run opens as one; `by_change` then sees the shard's movement.

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
        storage = Storage(deltas, sketch, wait, overwrite, resume)
        kept = kept_buffers(model) if buffers and role.is_first else {}
        # processes that another one records for have no tape, and all they do is count
        self._tape = make_tape(role, kept, noted, storage) if self._own else None
        self._restored: int | None = None
        self._loose: Numbers = {}  # scalars of a step that `every` leaves out, should it turn out to be the last
        self._step = 0
        self.optimizer: torch.optim.Optimizer | None = None
        self._handle: Any = None
        self.closed = False

    def attach(self, optimizer: torch.optim.Optimizer, *, step: int | None = None) -> Self:
        """Record after the optimizer's steps; the iterate of now becomes step 0, or the step that is named.

        When iterates were recorded by hand before, the count goes on from the last of them instead.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            The optimizer of the model; its class and defaults are noted in ``run.json``, and the learning rate
            of its first group, as used by the step, is recorded beside each iterate as ``lr`` (step 0 has none).
        step : int, optional
            The optimizer's steps so far; what a resumed run has beyond it is superseded.

        Returns
        -------
        Recorder
            The recorder itself.

        Raises
        ------
        InputError
            If the recorder is closed or already attached, the optimizer holds none of the recorded parameters,
            or a run is resumed and neither a step is known nor a recorded iterate equals the model.
        """
        self._require_open()
        optimizer = unwrapped_optimizer(optimizer)
        require_optimizer(optimizer, self._own)
        if self.optimizer is not None:
            raise InputError(worded("optimizer", "one attachment", "a second one", "make another Recorder"))
        step = self._restored if step is None else check_count("step", step, low=0)
        self._settings["optimizer"] = {"class": type(optimizer).__name__, **plain_options(optimizer.defaults)}
        self._step = self._start(step)
        self.optimizer = optimizer
        self._handle = optimizer.register_step_post_hook(self._after_step)
        return self

    def record(self, step: int | None = None, **scalars: float) -> None:
        """Add scalars to the present iterate, or record an iterate by hand.

        Attached, scalars go to the iterate that the last optimizer step made. Where `every` leaves that step out
        they are dropped, unless the step turns out to be the last; naming the step records it all the same.

        Without an optimizer, each call records the model as it is now; a call that names the last recorded step
        only adds scalars to it.

        Parameters
        ----------
        step : int, optional
            Attached, the optimizer's steps so far, the default. By hand, a step not before the last recorded one,
            by default the next; the first of a resumed run may be earlier and supersedes what comes after it.
        **scalars : float
            Named numbers or one-element tensors, as ``loss=loss.item()``; NaN and inf are kept.

        Raises
        ------
        InputError
            If the recorder is closed, a scalar is no number, or the step is not as above.
        """
        self._require_open()
        numbers = {name: as_number(name, value) for name, value in scalars.items()}
        if self._tape is None:
            return
        if self.optimizer is not None:
            if step is not None and step != self._step:
                raise InputError(worded("step", f"{self._step}, the optimizer's steps so far", step, "leave step out"))
            if step is None and self._step != self._tape.last:
                self._loose.update(numbers)
                return
            step, numbers = self._step, {**self._loose, **numbers}
        else:
            step = self._tape.next_step() if step is None else step
        check_count("step", step, low=max(self._tape.last, 0))
        self._tape.splice(step)
        if step != self._tape.last or not self._tape.amend(numbers):
            self._tape.take(step, {**self._rate(), **numbers})

    def state_dict(self) -> dict[str, int]:
        """Say how far the run is, to be kept in a checkpoint beside the model's and the optimizer's states."""
        return {"step": self._step if self.optimizer is not None or self._tape is None else self._tape.last}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Take up where a checkpoint was made, before the optimizer is attached; InputError otherwise."""
        if self.optimizer is not None:
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
        if self._handle is not None:
            self._handle.remove()
        if complete and self._tape is not None and self.optimizer is not None and self._tape.last != self._step:
            self._tape.take(self._step, {**self._rate(), **self._loose}, wait=True)
        self.closed = True
        if self._tape is not None:
            self._tape.close()

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Let the attached optimizer step unrecorded and uncounted within a ``with`` block."""
        if self._handle is None:
            yield
            return
        assert self.optimizer is not None
        self._handle.remove()
        try:
            yield
        finally:
            self._handle = self.optimizer.register_step_post_hook(self._after_step)

    def _start(self, step: int | None) -> int:
        """Take the first iterate, or find out where an earlier session is gone on with."""
        if self._tape is None:
            return step or 0
        if self._tape.last < 0 and self._tape.resumed:
            return self._tape.go_on(step)
        if self._tape.last < 0:
            self._tape.take(step or 0, {})
        return self._tape.last

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._step += 1
        self._loose = {}
        if self._tape is not None and self._schedule(self._step, self._tape.relative_change):
            self._tape.take(self._step, {**self._rate(), **self._step_norms(self._tape)})

    def _rate(self) -> Numbers:
        rate = None if self.optimizer is None else self.optimizer.param_groups[0].get("lr")
        return {} if rate is None else {"lr": as_number("lr", rate)}

    def _step_norms(self, tape: Tape) -> Numbers:
        if not self._norms:
            return {}
        return {"grad_norm": gradient_norm(self._own), "update_norm": tape.moved()[0]}

    def _require_open(self) -> None:
        if self.closed:
            raise InputError(worded("recorder", "an open recorder", "a closed one", "make another Recorder"))
