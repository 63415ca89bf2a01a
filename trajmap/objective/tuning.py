"""Choosing the fastest way to evaluate an objective that gives the same values."""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array
from trajmap.data.frame import Frame
from trajmap.errors import InputError
from trajmap.objective.evaluator import Evaluator
from trajmap.objective.objective import Objective
from trajmap.objective.points import Points
from trajmap.objective.strategy import PLAIN, Strategy

__all__ = ["choose_strategy", "evaluator", "suits"]

# rounding of a sum in another order; a strategy that changes a value by more computes something else
_SAME = {torch.float64: 1e-12, torch.float32: 1e-6}
_GAIN = 0.98  # below it a difference of times is noise
_SHARE = 0.03  # of the work, for the trials
_WORTH = 200  # points: three evaluations to know the plain way, and three for a first attempt, are 3 % of them


def evaluator(objective: Objective, strategy: Strategy = PLAIN, frame: Frame | None = None) -> Evaluator:
    """Make what evaluates an objective by a strategy.

    Parameters
    ----------
    objective : Objective
        The loss.
    strategy : Strategy
        How; `PLAIN` is ``objective.evaluate``.
    frame : Frame, optional
        What the points are combinations of.

    Returns
    -------
    Evaluator
        Its ``evaluate(points, coefficients)`` gives ``{name: values}``.

    Raises
    ------
    InputError
        If the strategy does not suit the model.
    """
    return Evaluator(objective.parts, strategy, frame)


def suits(objective: Objective, strategy: Strategy, frame: Frame | None = None) -> bool:
    """Say whether a model can be evaluated by a strategy, without comparing values."""
    if objective.parts.re_estimates:
        return strategy == PLAIN
    try:
        evaluator(objective, strategy, frame)
    except InputError:
        return False
    return True


def choose_strategy(
    objective: Objective, points: Points, coefficients: Array | None = None, frame: Frame | None = None
) -> Strategy:
    """Try the strategies on the first of the points, for 3 % of the time that all would take, and keep the fastest.

    A choice is kept when it saves at least 2 % and gives the same values: 1e-6 relative in float32 and 1e-12 in
    float64, for the loss and every metric. Where the points are so few that not even one trial fits in the time,
    nothing is tried. What was found is remembered by the objective.

    Parameters
    ----------
    objective : Objective
        The loss.
    points : Points
        All that will be evaluated; three of them are tried, far from each other.
    coefficients : array-like, shape (n, m), optional
        Where they lie in `frame`.
    frame : Frame, optional
        What they are combinations of, when the layers that see data only may be combined over it.

    Returns
    -------
    Strategy
        The choice.

    Examples
    --------
    >>> from trajmap.objective.points import ArrayPoints
    >>> model = torch.nn.Linear(2, 1)
    >>> bowl = Objective(model, lambda m, x: m(x).square().mean(), [torch.eye(2)])
    >>> choice = choose_strategy(bowl, ArrayPoints(np.zeros((1, 3))))
    >>> choice.planes, choice.channels_last
    (False, False)
    """
    known = objective.choices
    key = (frame is not None, torch.get_num_threads())
    if key in known:
        return known[key]
    if objective.parts.re_estimates:
        return PLAIN  # the statistics of a point need all of its data first
    if len(points) < _WORTH:
        return PLAIN
    trial = _Trial(objective, points, coefficients, frame)
    for option in _options(objective, flat=frame is not None):
        if not trial.time_left:
            break
        trial.attempt(dataclasses.replace(trial.best, **option))
    known[key] = trial.best
    return trial.best


class _Trial:
    """The best strategy so far, and the time that is left to look for a better one."""

    def __init__(self, objective: Objective, points: Points, coefficients: Array | None, frame: Frame | None) -> None:
        self._begun = time.perf_counter()
        self._objective, self._frame = objective, frame
        places = np.linspace(0, len(points) - 1, 5).astype(int)[1:4]
        self._some = [_Some(points, place) for place in places]
        self._C = [None if coefficients is None else coefficients[place : place + 1] for place in places]
        self.best = PLAIN
        self._expected, self._least = self._measured(evaluator(objective))
        self._allowed = _SHARE * self._least * len(points)

    @property
    def time_left(self) -> bool:
        """Whether an attempt, of three evaluations, fits in what is allowed."""
        return time.perf_counter() - self._begun + 3 * self._least < self._allowed

    def attempt(self, strategy: Strategy) -> None:
        """Take a strategy if it gives the same values in less time."""
        try:
            found, seconds = self._measured(evaluator(self._objective, strategy, self._frame))
        except (InputError, RuntimeError, ValueError, TypeError, IndexError):
            return  # a user's loss may refuse what the plain way gives it
        if seconds < _GAIN * self._least and _agree(self._expected, found, self._objective.like.dtype):
            self.best, self._least = strategy, seconds

    def _measured(self, trial: Evaluator) -> tuple[dict[str, Array], float]:
        """Values at the points, and the seconds of one; the first warms up."""
        rows, times = [], []
        for point, C in zip(self._some, self._C, strict=True):
            start = time.perf_counter()
            rows.append(trial.evaluate(point, C))
            times.append(time.perf_counter() - start)
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}, min(times[1:])


class _Some(Points):
    """One of many points."""

    def __init__(self, points: Points, place: int) -> None:
        self._points, self._place = points, int(place)

    def __len__(self) -> int:
        return 1

    def write(self, i: int, out: torch.Tensor) -> None:
        """Fill a tensor with it."""
        self._points.write(self._place, out)


def _options(objective: Objective, *, flat: bool) -> Iterator[dict[str, Any]]:
    """List changes to try, the most promising first."""
    parts = objective.parts
    if objective.like.is_cuda:
        yield from ({"points": points} for points in (4, 16, 64))
        return
    yield {"cheaper": True}
    if flat:
        yield {"planes": True}
    yield {"batch_size": 512}
    yield {"onednn": True}
    if any(isinstance(layer, torch.nn.Conv2d) for layer in parts.twin.module.modules()):
        yield {"channels_last": True}
    yield from ({"batch_size": size} for size in (256, 1024, 0, 128))


def _agree(expected: dict[str, Array], found: dict[str, Array], dtype: torch.dtype) -> bool:
    tolerance = _SAME.get(dtype, 1e-3)
    return all(
        np.allclose(found[name], values, rtol=tolerance, atol=0, equal_nan=True) for name, values in expected.items()
    )
