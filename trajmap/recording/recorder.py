"""Record an optimizer's iterates into a run folder, one line in the user's own loop."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from trajmap import __version__
from trajmap._validation import Array, check_count, describe, worded
from trajmap.data.layout import Layout
from trajmap.data.store import RunHeader, iterate_path, write_iterate
from trajmap.errors import InputError, RunFormatError, TrajmapError

__all__ = ["Recorder", "requires_grad"]

Select = Callable[[str, torch.nn.Parameter], bool]


def requires_grad(name: str, parameter: torch.nn.Parameter) -> bool:
    """Select the trainable parameters."""
    return parameter.requires_grad


class Recorder:
    """Write a model's parameters to a run folder as the optimizer moves them.

    Attached to an optimizer it records the iterate before the first step as step 0, then the iterate after
    every `every`-th step, and on closing the last one. The newest iterate is held in memory until the next one
    comes, so that scalars can still be added to it; use the recorder as a context manager, or close it, so that
    the last iterate reaches the disk. Model, optimizer, gradients and random states are left as they are.

    Parameters
    ----------
    model : torch.nn.Module
        The model; tied parameters are stored once.
    path : path-like
        The run folder to make.
    every : int
        Record after every `every`-th optimizer step.
    select : callable
        ``select(name, parameter) -> bool`` chooses the parameters; by default the trainable ones.
    overwrite : bool
        Replace an existing run folder. Anything that is not a run folder is never removed.
    settings : dict, optional
        What else to note in ``run.json``; plain JSON.

    Raises
    ------
    InputError
        If the path is taken, nothing is selected, or the settings are not JSON; before anything is written.

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
        select: Select = requires_grad,
        overwrite: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise InputError(worded("model", "a torch.nn.Module", model))
        self._every = check_count("every", every)
        chosen = {name: p for name, p in model.named_parameters() if select(name, p)}
        if not chosen:
            raise InputError(worded("select", "at least one parameter", "none selected"))
        self._parameters = list(chosen.values())
        self.layout = Layout(tuple(chosen), tuple(tuple(p.shape) for p in chosen.values()))
        wide = any(p.dtype == torch.float64 for p in self._parameters)
        self._dtype = torch.float64 if wide else torch.float32
        self._settings = {
            "model": type(model).__name__,
            "every": self._every,
            "versions": {"trajmap": __version__, "torch": str(torch.__version__)},
            **_checked_settings(settings),
        }
        self.path = Path(path)
        _clear(self.path, overwrite=overwrite)
        self._flat = torch.empty(self.layout.size, dtype=self._dtype)
        self._pending: tuple[int, dict[str, float]] | None = None
        self._loose: dict[str, float] = {}
        self._count = 0
        self._step = 0
        self._optimizer: torch.optim.Optimizer | None = None
        self._handle: Any = None
        self._closed = False

    def attach(self, optimizer: torch.optim.Optimizer) -> Self:
        """Record after the optimizer's steps; the iterate of now becomes step 0.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            The optimizer of the model; its class and defaults are noted in ``run.json``, and its learning rate
            (of the first group) is recorded beside each iterate as ``lr``.

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
        if self._optimizer is not None:
            raise InputError(worded("optimizer", "one attachment", "a second one", "make another Recorder"))
        own = {id(p) for p in self._parameters}
        if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
            raise InputError(
                worded("optimizer", "one that holds the model's parameters", "one of other parameters",
                       "attach the optimizer that was made of this model's parameters()")
            )  # fmt: skip
        self._optimizer = optimizer
        plain = {
            key: v for key, v in optimizer.defaults.items() if isinstance(v, (bool, int, float, str, list, tuple))
        }
        self._settings["optimizer"] = {"class": type(optimizer).__name__, **plain}
        self._snapshot(0, {})
        self._handle = optimizer.register_step_post_hook(self._after_step)
        return self

    def record(self, step: int | None = None, **scalars: float) -> None:
        """Add scalars to the iterate of the present step, or record an iterate by hand.

        Parameters
        ----------
        step : int, optional
            Step of the iterate. By default the present step: attached, the number of optimizer steps so far;
            otherwise one more than the last recorded step. A step that is already recorded gets the scalars; a
            later one is recorded now.
        **scalars : float
            Named numbers, as ``loss=loss.item()``. Scalars of steps that `every` leaves out are dropped.

        Raises
        ------
        InputError
            If the recorder is closed, a scalar is no number, or the step lies before the last one.
        """
        self._require_open()
        numbers = {name: _number(name, value) for name, value in scalars.items()}
        last = -1 if self._pending is None else self._pending[0]
        if step is None and self._optimizer is not None and self._step != last:
            self._loose = numbers  # wanted after all if this step turns out to be the last
            return
        if step is None:
            step = last if self._optimizer is not None else last + 1
        check_count("step", step, low=max(last, 0))
        if self._pending is not None and step == last:
            self._pending[1].update(numbers)
        else:
            self._snapshot(step, numbers)

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
        if self._closed:
            return
        if self._handle is not None:
            self._handle.remove()
        if (
            complete
            and self._optimizer is not None
            and self._pending is not None
            and self._pending[0] != self._step
        ):
            self._snapshot(self._step, {**self._rate(), **self._loose})
        self._flush()
        self._closed = True

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._step += 1
        self._loose = {}
        if self._step % self._every == 0:
            self._snapshot(self._step, self._rate())

    def _rate(self) -> dict[str, float]:
        assert self._optimizer is not None
        rate = self._optimizer.param_groups[0].get("lr")
        return {} if rate is None else {"lr": float(rate)}

    @torch.no_grad()
    def _snapshot(self, step: int, scalars: dict[str, float]) -> None:
        """Write the iterate that is held and hold the present one."""
        self._flush()
        if self._pending is None and not self._count:
            RunHeader(self.layout, str(self._dtype).removeprefix("torch."), self._settings).write(self.path)
        for parameter, piece in zip(
            self._parameters, torch.split(self._flat, list(self.layout.sizes)), strict=True
        ):
            piece.copy_(parameter.reshape(-1))
        self._pending = (step, dict(scalars))

    def _flush(self) -> None:
        if self._pending is None:
            return
        step, scalars = self._pending
        theta: Array = self._flat.numpy()
        write_iterate(iterate_path(self.path, self._count), theta, self.layout, step=step, scalars=scalars)
        self._count += 1

    def _require_open(self) -> None:
        if self._closed:
            raise InputError(worded("recorder", "an open recorder", "a closed one", "make another Recorder"))


def _number(name: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(worded(name, "a number", describe(value))) from error


def _checked_settings(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        json.dumps(dict(settings or {}))
    except (TypeError, ValueError) as error:
        raise InputError(worded("settings", "plain JSON values", str(error))) from error
    return dict(settings or {})


def _clear(path: Path, *, overwrite: bool) -> None:
    """Make sure the run folder can be made; only a run folder is ever removed."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise InputError(worded("path", "a new or empty folder", f"{path}, which exists", "pass overwrite=True"))
    try:
        RunHeader.read(path)
    except (TrajmapError, RunFormatError) as error:
        raise InputError(worded("path", "a run folder to overwrite", f"{path}, which is none")) from error
    shutil.rmtree(path)
