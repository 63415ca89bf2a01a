"""Record an optimizer's iterates into a run folder, one line in the user's own loop."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from trajmap import __version__
from trajmap._validation import check_choice, check_count, worded
from trajmap.data.layout import Layout
from trajmap.data.store import RunHeader
from trajmap.errors import InputError
from trajmap.recording._arguments import (
    Select,
    as_number,
    checked_settings,
    chosen_parameters,
    plain_options,
    requires_grad,
)
from trajmap.recording.schedules import Schedule
from trajmap.recording.schedules import every as fixed_interval
from trajmap.recording.writer import RunWriter

__all__ = ["Recorder", "requires_grad"]

Numbers = dict[str, float]


class Recorder:
    """Write a model's parameters to a run folder as the optimizer moves them.

    Attached to an optimizer it records the iterate before the first step as step 0, then the iterate after
    every `every`-th step, and on closing the last one. The newest iterate is held in memory until the next one
    comes, so that scalars can still be added to it; use the recorder as a context manager, or close it, so that
    the last iterate reaches the disk. An error inside the ``with`` block keeps what was recorded.

    Model, optimizer, gradients and random states are left as they are. Numbers are stored as they are, NaN
    included: in float64 if a recorded parameter is float64, else in float32, to which narrower ones widen exactly.

    Parameters
    ----------
    model : torch.nn.Module
        The model; tied parameters are stored once.
    path : path-like
        The run folder to make.
    every : int
        Record after every `every`-th optimizer step.
    schedule : callable, optional
        Instead of `every`: `log_spaced`, `at_steps`, `by_change` of ``trajmap.recording``, or a function
        ``(step, moved) -> bool``.
    on_full : str
        What to do when the disk is slower than the loop: ``"wait"`` for it, or ``"skip"`` the iterate; the next
        one then says how many were left out by the scalar ``skipped``.
    select : callable
        ``select(name, parameter) -> bool`` chooses the parameters; by default the trainable ones.
    overwrite : bool
        Replace an existing run folder, at the first iterate and not before. What is no run folder is never
        removed.
    settings : dict, optional
        What else to note in ``run.json``; plain JSON, under other names than the recorder's own ``model``,
        ``optimizer``, ``every`` and ``versions``.

    Raises
    ------
    InputError
        If the path is taken, nothing real is selected, or the settings are not JSON; before anything is written.

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

    def __init__(
        self,
        model: torch.nn.Module,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        schedule: Schedule | None = None,
        on_full: str = "wait",
        select: Select = requires_grad,
        overwrite: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise InputError(worded("model", "a torch.nn.Module", model))
        if schedule is not None and every != 1:
            raise InputError(worded("schedule", "either every or a schedule", "both"))
        self._schedule = fixed_interval(every) if schedule is None else schedule
        self._wait = check_choice("on_full", on_full, ("wait", "skip")) == "wait"
        chosen = chosen_parameters(model, select)
        self._parameters: list[torch.Tensor] = list(chosen.values())
        self.layout = Layout(tuple(chosen), tuple(tuple(p.shape) for p in chosen.values()))
        wide = any(p.dtype == torch.float64 for p in self._parameters)
        own = {
            "model": type(model).__name__,
            "every": every if schedule is None else "schedule",
            "versions": {"trajmap": __version__, "torch": str(torch.__version__)},
        }
        self._header = RunHeader(self.layout, "float64" if wide else "float32", {**own, **checked_settings(settings)})
        self.path = Path(path)
        self._writer = RunWriter(self.path, overwrite=overwrite)
        self._flat: torch.Tensor | None = None  # the newest iterate
        self._views: dict[int, list[torch.Tensor]] = {}
        self._skipped: list[int] = []  # steps that found no free buffer since the newest iterate
        self._failed = False
        self._last = -1  # step of the newest iterate, none yet
        self._held: Numbers | None = None  # its scalars, until it is written
        self._loose: Numbers = {}  # scalars of a step that `every` leaves out, should it turn out to be the last
        self._step = 0
        self._optimizer: torch.optim.Optimizer | None = None
        self._handle: Any = None
        self._closed = False

    def attach(self, optimizer: torch.optim.Optimizer) -> Self:
        """Record after the optimizer's steps; the iterate of now becomes step 0.

        When iterates were recorded by hand before, the count goes on from the last of them instead.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            The optimizer of the model; its class and defaults are noted in ``run.json``, and the learning rate
            of its first group, as used by the step, is recorded beside each iterate as ``lr`` (step 0 has none).

        Returns
        -------
        Recorder
            The recorder itself.

        Raises
        ------
        InputError
            If the recorder is closed or already attached, or the optimizer holds none of the recorded parameters.
        """
        self._require_open()
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise InputError(worded("optimizer", "a torch.optim.Optimizer", optimizer))
        if self._optimizer is not None:
            raise InputError(worded("optimizer", "one attachment", "a second one", "make another Recorder"))
        own = {id(p) for p in self._parameters}
        if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
            repair = "attach the optimizer that was made of this model's parameters()"
            raise InputError(
                worded("optimizer", "one that holds the model's parameters", "one of other parameters", repair)
            )
        self._header.settings["optimizer"] = {"class": type(optimizer).__name__, **plain_options(optimizer.defaults)}
        if self._last < 0:
            self._snapshot(0, {})
        self._step = self._last
        self._optimizer = optimizer
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
            Attached, the number of optimizer steps so far, which is also the default. Otherwise a step not
            before the last recorded one, by default the one after it, from 0 on.
        **scalars : float
            Named numbers or one-element tensors, as ``loss=loss.item()``; NaN and inf are kept.

        Raises
        ------
        InputError
            If the recorder is closed, a scalar is no number, or the step is not as above.
        """
        self._require_open()
        numbers = {name: as_number(name, value) for name, value in scalars.items()}
        if self._optimizer is not None:
            if step is not None and step != self._step:
                raise InputError(worded("step", f"{self._step}, the optimizer's steps so far", step, "leave step out"))
            if step is None and self._step != self._last:
                self._loose.update(numbers)
                return
            step, numbers = self._step, {**self._loose, **numbers}
        elif step is None:
            step = self._last + 1
        check_count("step", step, low=max(self._last, 0))
        if step == self._last and self._held is not None:
            self._held.update(numbers)
        else:
            self._snapshot(step, {**self._rate(), **numbers})

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
        if self._closed:
            return
        if self._handle is not None:
            self._handle.remove()
        if complete and self._optimizer is not None and self._last != self._step:
            self._snapshot(self._step, {**self._rate(), **self._loose}, wait=True)
        self._flush()
        self._writer.close()
        self._closed = True
        self._report_failure()

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._step += 1
        self._loose = {}
        if self._schedule(self._step, self._moved):
            self._snapshot(self._step, self._rate())

    def _rate(self) -> Numbers:
        rate = None if self._optimizer is None else self._optimizer.param_groups[0].get("lr")
        return {} if rate is None else {"lr": as_number("lr", rate)}

    @torch.no_grad()
    def _snapshot(self, step: int, scalars: Numbers, *, wait: bool = False) -> None:
        """Hand the iterate that is held to the writer and hold the present one."""
        self._flush()
        if self._last < 0:
            self._writer.begin(self._header)
        self._report_failure()
        buffer = self._writer.acquire(wait=wait or self._wait)
        if buffer is None:
            self._skipped.append(step)
            return
        left_out = [skipped for skipped in self._skipped if skipped < step]
        if left_out:
            scalars = {**scalars, "skipped": float(len(left_out))}
        self._skipped = []
        self._flat = torch.from_numpy(buffer)
        # one fused call: half the time of a loop over the parameters
        torch._foreach_copy_(self._pieces(), self._parameters)
        self._last, self._held = step, dict(scalars)

    def _pieces(self) -> list[torch.Tensor]:
        """Cut the newest iterate into views in the parameters' shapes, once a buffer."""
        assert self._flat is not None
        address = self._flat.data_ptr()
        if address not in self._views:
            cut = torch.split(self._flat, list(self.layout.sizes))
            self._views[address] = [piece.view(s) for piece, s in zip(cut, self.layout.shapes, strict=True)]
        return self._views[address]

    @torch.no_grad()
    def _moved(self) -> float:
        """Distance of the present parameters from the newest iterate, relative to its norm."""
        moved = norm = 0.0
        for parameter, piece in zip(self._parameters, self._pieces(), strict=True):
            moved += float((parameter.to(piece) - piece).double().square().sum())
            norm += float(piece.double().square().sum())
        return (moved / norm) ** 0.5 if norm else float(moved > 0)

    def _flush(self) -> None:
        if self._held is not None and self._flat is not None:
            # the loop may ask how far it has moved until the next iterate is taken: the writer only reads
            self._writer.write(self._flat.numpy(), step=self._last, scalars=self._held)
            self._held = None

    def _report_failure(self) -> None:
        """Warn once that the disk failed: training goes on, recording does not."""
        if self._writer.error is not None and not self._failed:
            self._failed = True
            message = f"{self.path}: recording stopped after {self._writer.n_written} iterates ({self._writer.error}); "
            warnings.warn(message + "they are kept, and training goes on", RuntimeWarning, stacklevel=2)

    def _require_open(self) -> None:
        if self._closed:
            raise InputError(worded("recorder", "an open recorder", "a closed one", "make another Recorder"))
