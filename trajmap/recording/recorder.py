"""Record an optimizer's iterates into a run folder, with one line in the training loop."""

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
    """Write a model's parameters to a run folder after the optimizer's steps.

    An attached recorder records the iterate before the first step as step 0, the iterate after every `every`-th step,
    and the last one when it is closed. The newest iterate stays in memory until the next one, so that scalars can still
    be added to it; use the recorder as a context manager, or close it.

    The recorder never stops a training: a failed write is tried again, then the iterate is skipped and counted; a full
    disk, or an error while copying, ends the recording with one warning. Only one process at a time writes a run. Held
    iterates are written when the interpreter exits; SIGTERM and SIGKILL lose the newest iterates unless `flush` was
    called, and the run is then marked as not closed. A forked copy of the process records nothing.

    Model, optimizer, gradients and random states do not change. Numbers are stored exactly, NaN included, in the
    parameters' own format; if the formats differ, in float64 if one is float64, else in float32.

    A compiled, data-parallel or averaged model is recorded under its plain parameter names. If several processes train
    copies, the first one records. If they hold shards (DTensor, FSDP2), each records its own and the run opens as one;
    `by_change` then measures the change of the shard.

    An iterate is the training weights after a whole step: for Lookahead or SAM the outer step, not that of the inner
    optimizer. A step that a fused kernel skipped because of an overflow is not an iterate (``overflows`` of the next
    iterate counts those). An average or a best checkpoint that is loaded into the model is not an iterate; call `hold`
    before.

    Parameters
    ----------
    model : torch.nn.Module
        The model; tied parameters are stored once.
    path : path-like
        The run folder to create or to resume.
    every : int
        Record after every `every`-th optimizer step.
    schedule : callable, optional
        Instead of `every`: `log_spaced`, `at_steps`, `by_change`, or a function ``(step, moved) -> bool``.
    on_full : str
        If the disk is slower than the loop: ``"wait"`` for it, or ``"skip"`` the iterate; the scalar ``skipped`` of the
        next one is the number of skipped iterates.
    select : callable
        ``select(name, parameter) -> bool``, such as `matching` or `lora`; by default the trainable parameters.
    buffers : bool
        Record the state dict's buffers too, so that an iterate can be evaluated with its own statistics.
    norms : bool
        Record ``grad_norm``, the norm of the step's gradient, and ``update_norm``, the distance to the previous
        recorded iterate; both over the recorded parameters.
    dtype : str
        ``"native"``, or ``"delta16"`` for 16-bit differences between occasional whole iterates: half the bytes, with a
        relative error of a step of about 1e-3, which is recorded as the scalar ``delta16_error``.
    sketch : CountSketch, optional
        Record a short random projection instead of the iterate.
    budget : int or str, optional
        Bytes that the run may take, for example ``"20GB"`` or ``"500 MiB"``. At the limit every second older iterate is
        removed and the interval is doubled; the first and the last iterate are kept, and the present interval is
        ``trajectory.history.interval``. Without a budget, one `DiskWarning` is given if the run would fill half of the
        initially free disk space. For this, the length of a training is assumed to be twice the steps so far, and at
        least 1000 steps if `every` is fixed.
    overwrite : bool
        Replace an existing run folder when the first iterate is recorded; only trajmap's files are removed.
    resume : bool
        Continue the run if there is one: restore the model, then attach. The step is that of `load_state_dict` or
        ``attach(step=…)``, or of the recorded iterate that equals the model. Later iterates of the run are superseded,
        and the resumption is noted in ``trajectory.history``.
    settings : dict, optional
        Further entries of ``run.json``: numbers, strings, lists and mappings that JSON can hold; the names of the
        recorder's own settings are not allowed.

    Raises
    ------
    InputError
        If the path is taken or another process writes it, no real parameter is selected, or options contradict each
        other; raised before anything is written.
    LayoutError
        If the run to resume has another layout, number format or sketch.

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
        # processes that do not record have no buffer, and only count
        self._buffer = make_buffer(role, kept, noted, storage) if own else None
        self._attached = Attachments(self.path, model, select, own)
        plan = Plan(when, interval, own if norms else [])
        self._sitting = Sitting(self.path, self._buffer, self._attached, noted, plan)
        self.closed = False

    def accumulates_when(self, accumulating: Callable[[], bool]) -> None:
        """Let `record` work as `pool` while a function returns that gradients are being accumulated."""
        self._sitting.accumulating = accumulating

    @property
    def optimizers(self) -> list[Any]:
        """The attached optimizers, in order of attachment."""
        return self._attached.optimizers

    def attach(
        self, optimizer: Any, *, step: int | None = None, expected_steps: int | None = None, moments: int = 8
    ) -> Self:
        """Record after the optimizer's steps; the present iterate becomes step 0, or `step`.

        If iterates were recorded by hand before, the count continues from the last of them. Another optimizer may be
        attached later, such as L-BFGS after Adam: the count of steps continues, the scalar ``optimizer`` identifies the
        optimizer of an iterate, and ``settings["optimizers"]`` lists the steps of each.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            The optimizer of the model, the outermost if one holds another; also an object that has a ``step`` and holds
            an optimizer. Its class, its defaults and the options of its parameter groups are stored in ``run.json``.
            Each group's learning rate at the step is recorded with each iterate as ``lr``, ``lr_1``, … (step 0 has
            none).
        step : int, optional
            The optimizer's steps so far; later iterates of a resumed run are superseded.
        expected_steps : int, optional
            The last step of the training, if known, for the warning about disk space.
        moments : int
            Maximum number of iterates at which the second moments of an adaptive torch optimizer are stored, for
            `edge_gauge`: evenly spread and including the last; each is as large as a float32 iterate. 0 for none.

        Returns
        -------
        Recorder
            The recorder itself.

        Raises
        ------
        InputError
            If the recorder is closed, the optimizer is attached already or holds none of the recorded parameters, or
            the step of a resumed run is unknown and no recorded iterate equals the model.
        """
        self._require_open()
        if expected_steps is not None and self._buffer is not None:
            self._buffer.expect(check_count("expected_steps", expected_steps))
        self._sitting.attach(optimizer, step, check_count("moments", moments, low=0))
        return self

    def record(self, scalars: Mapping[str, float] = _NO_SCALARS, *, step: int | None = None) -> None:
        """Add scalars to the present iterate, or record an iterate by hand.

        With an optimizer, scalars go to the iterate of the last optimizer step. If `every` skips that step they are
        dropped, unless it is the last step of the run; passing `step` records it nevertheless. Without an optimizer,
        each call records the present model; a call with the last recorded step only adds scalars to it.

        Parameters
        ----------
        scalars : mapping of str to float
            Numbers or one-element tensors under any name, as ``{"loss": loss.item()}``; NaN and inf are kept.
        step : int, optional
            With an optimizer, its steps so far (the default). Without one, a step that is not before the last recorded
            one, by default the next; in a resumed run the first may be earlier and supersedes all later ones.

        Raises
        ------
        InputError
            If the recorder is closed, a scalar is not a number, or the step is not allowed.
        """
        self._require_open()
        self._sitting.record(step, checked_scalars(scalars))

    def pool(self, scalars: Mapping[str, float]) -> None:
        """Keep scalars of one of several batches whose gradients are accumulated.

        The iterate of the next step gets the mean over these scalars and those passed to `record` after that step.

        Parameters
        ----------
        scalars : mapping of str to float
            Numbers under any name, as ``{"loss": loss.item()}``.

        Raises
        ------
        InputError
            If the recorder is closed, or a scalar is not a number.
        """
        self._require_open()
        self._sitting.pool(checked_scalars(scalars))

    def hold(self) -> None:
        """Keep a copy of the present iterate in memory, which becomes the run's last if no step follows.

        Call it before an average or the best checkpoint is loaded into the model at the end of a training, because
        `every` or a schedule may have skipped the last step. Weights that were changed since the step are not kept.
        """
        self._require_open()
        self._sitting.hold()

    def state_dict(self) -> dict[str, int]:
        """Return the progress of the run, to be saved in a checkpoint with the model and the optimizer."""
        return {"step": self._sitting.step if self._attached or self._buffer is None else self._buffer.last}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Resume where a checkpoint was made; call it before `attach`, otherwise InputError is raised."""
        if self._attached:
            raise InputError(worded("state", "loading before attach", "an attached recorder"))
        self._sitting.restored = check_count("step", state.get("step"), low=0)

    def flush(self) -> int:
        """Wait until all iterates so far, also the newest, are on the disk, so that a kill loses none.

        Record the scalars of the newest iterate first; later ones are dropped, with a warning. If the disk does not
        respond for two minutes, waiting ends.

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
        """Number of iterates of this session that are flushed to the disk and can be read after a crash."""
        return self._sitting.n_durable

    def close(self) -> None:
        """Record the last iterate if necessary, write all held iterates, and detach the optimizer."""
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
        """Neither record nor count the steps of the attached optimizers within a ``with`` block."""
        self._attached.release()
        try:
            yield
        finally:
            self._attached.listen()

    def _require_open(self) -> None:
        if self.closed:
            raise InputError(worded("recorder", "an open recorder", "a closed one", "make another Recorder"))
