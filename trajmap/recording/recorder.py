"""Record an optimizer's iterates into a run folder, one line in the user's own loop."""

import contextlib
import os
import types
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from trajmap._models import unwrapped
from trajmap._validation import check_choice, check_count, worded
from trajmap.errors import InputError
from trajmap.recording.attachments import Attachments
from trajmap.recording.budget import as_bytes
from trajmap.recording.distributed import role_of
from trajmap.recording.scalars import checked_scalars
from trajmap.recording.schedules import Schedule
from trajmap.recording.schedules import every as fixed_interval
from trajmap.recording.selections import Select, chosen_parameters, kept_buffers, requires_grad
from trajmap.recording.sitting import Plan, Sitting
from trajmap.recording.sketch import CountSketch
from trajmap.recording.storage import Storage, checked_settings, make_buffer

__all__ = ["Recorder"]

_NO_SCALARS: Mapping[str, float] = types.MappingProxyType({})


class Recorder:
    """Write a model's parameters to a run folder as the optimizer moves them.

    Attached to an optimizer it records the iterate before the first step as step 0, then the iterate after
    every `every`-th step, and on closing the last one. The newest iterate is held in memory until the next one
    comes, so that scalars can still be added to it; use the recorder as a context manager, or close it.

    Nothing here stops a training: an iterate that the disk refuses is tried again, then left out and counted; a full
    disk, or an error while copying, ends the recording with one warning. One process at a time writes a run. At the end
    of the interpreter what is held is written; SIGTERM and SIGKILL lose the newest iterates unless `flush` was called,
    and the run then says that it was not closed. In a forked copy of the process nothing is recorded.

    Model, optimizer, gradients and random states are left as they are. Numbers are stored as they are, NaN
    included, in the parameters' own format; where they differ, in float64 if one is float64, else in float32, to which
    narrower ones widen exactly.

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
        Replace an existing run folder, at the first iterate and not before; only what trajmap wrote is removed.
    resume : bool
        Go on with the run if there is one: restore the model, then attach. The step is that of `load_state_dict`
        or ``attach(step=…)``, or of the recorded iterate that the model equals. What the run has beyond it is
        superseded, and the seam is kept in ``trajectory.history``.
    settings : dict, optional
        What else to note in ``run.json``: numbers, words, lists and mappings, as JSON gives them back; not under the
        names of the recorder's own settings.

    Raises
    ------
    InputError
        If the path is taken or another process writes it, nothing real is selected, or options contradict each other;
        before anything is written.
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
    ...         recorder.record({"loss": loss.item()})
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
        when = fixed_interval(every) if schedule is None else schedule
        interval = every if schedule is None else None
        wait = check_choice("on_full", on_full, ("wait", "skip")) == "wait"
        model = unwrapped(model)
        role = role_of(Path(path), chosen_parameters(model, select))
        noted = checked_settings(settings, model, every if schedule is None else "schedule")
        self.path, self.layout, self.model = Path(path), role.layout, model
        own = list(role.parameters.values())
        deltas = check_choice("dtype", dtype, ("native", "delta16")) == "delta16"
        allowed = None if budget is None else as_bytes(budget)
        storage = Storage(deltas, sketch, wait, overwrite, resume, allowed, interval)
        kept = kept_buffers(model) if buffers and role.is_first else {}
        # processes that another one records for have no buffer, and all they do is count
        self._buffer = make_buffer(role, kept, noted, storage) if own else None
        self._attached = Attachments(self.path, model, select, own)
        plan = Plan(when, interval, own if norms else [])
        self._sitting = Sitting(self.path, self._buffer, self._attached, noted, plan)
        self.closed = False

    def accumulates_when(self, accumulating: Callable[[], bool]) -> None:
        """Let `record` keep scalars as `pool` does while a function says that gradients are accumulated."""
        self._sitting.accumulating = accumulating

    @property
    def optimizers(self) -> list[Any]:
        """The attached optimizers, in the order in which they came."""
        return self._attached.optimizers

    def attach(
        self, optimizer: Any, *, step: int | None = None, expected_steps: int | None = None, moments: int = 8
    ) -> Self:
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
        moments : int
            Iterates at most beside which the second moments of an adaptive optimizer of torch are kept, for
            `edge_gauge`: evenly spread, the last among them, each as large as an iterate in float32. 0 for none.

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
        if expected_steps is not None and self._buffer is not None:
            self._buffer.expect(check_count("expected_steps", expected_steps))
        self._sitting.attach(optimizer, step, check_count("moments", moments, low=0))
        return self

    def record(self, scalars: Mapping[str, float] = _NO_SCALARS, *, step: int | None = None) -> None:
        """Add scalars to the present iterate, or record an iterate by hand.

        Attached, scalars go to the iterate that the last optimizer step made. Where `every` leaves that step out
        they are dropped, unless the step turns out to be the last; naming the step records it all the same.

        Without an optimizer, each call records the model as it is now; a call that names the last recorded step
        only adds scalars to it.

        Parameters
        ----------
        scalars : mapping of str to float
            Numbers or one-element tensors under any name, as ``{"loss": loss.item()}``; NaN and inf are kept.
        step : int, optional
            Attached, the optimizer's steps so far, the default. By hand, a step not before the last recorded one,
            by default the next; the first of a resumed run may be earlier and supersedes what comes after it.

        Raises
        ------
        InputError
            If the recorder is closed, a scalar is no number, or the step is not as above.
        """
        self._require_open()
        self._sitting.record(step, checked_scalars(scalars))

    def pool(self, scalars: Mapping[str, float]) -> None:
        """Keep scalars of one of several batches whose gradients are accumulated.

        The next step's iterate gets the mean over them and what `record` is given after that step.

        Parameters
        ----------
        scalars : mapping of str to float
            Numbers under any name, as ``{"loss": loss.item()}``.

        Raises
        ------
        InputError
            If the recorder is closed, or a scalar is no number.
        """
        self._require_open()
        self._sitting.pool(checked_scalars(scalars))

    def hold(self) -> None:
        """Keep a copy of the present iterate in memory, to be the run's last should no step follow.

        Call it before an average or the best checkpoint is put into the model at the end of a training, where `every`
        or a schedule may have left the last step out. Weights that were changed since the step are not kept.
        """
        self._require_open()
        self._sitting.hold()

    def state_dict(self) -> dict[str, int]:
        """Say how far the run is, to be kept in a checkpoint beside the model's and the optimizer's states."""
        return {"step": self._sitting.step if self._attached or self._buffer is None else self._buffer.last}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Take up where a checkpoint was made, before the optimizer is attached; InputError otherwise."""
        if self._attached:
            raise InputError(worded("state", "to be loaded before attach", "an attached recorder"))
        self._sitting.restored = check_count("step", state.get("step"), low=0)

    def flush(self) -> int:
        """Wait until everything recorded so far is on the disk, the newest iterate too: a kill then loses nothing.

        Scalars of the newest iterate are recorded before this; later ones are left out, with a warning. A disk on which
        nothing moves for two minutes is not waited for.

        Returns
        -------
        int
            `n_durable`.

        Raises
        ------
        InputError
            If the recorder is closed.
        """
        self._require_open()
        self._sitting.flush()
        return self.n_durable

    @property
    def n_durable(self) -> int:
        """Iterates of this session that are on the disk, flushed: each is read back, whatever happens next."""
        return self._sitting.n_durable

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
        if not self.closed:
            self.closed = True
            self._sitting.close(complete=complete)

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Let the attached optimizers step unrecorded and uncounted within a ``with`` block."""
        self._attached.release()
        try:
            yield
        finally:
            self._attached.listen()

    def _require_open(self) -> None:
        if self.closed:
            raise InputError(worded("recorder", "an open recorder", "a closed one", "make another Recorder"))
