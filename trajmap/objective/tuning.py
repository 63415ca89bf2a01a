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
    trial = _Trial(objective, points, coefficients, frame)
    if trial.can_pay:
        for wish in _wishes(objective, flat=frame is not None):
            if not trial.time_left:
                break
            trial.attempt(dataclasses.replace(trial.best, **wish))
        known[key] = trial.best
    return trial.best


class _Trial:
    """The best strategy so far, and the time that is left to look for a better one."""

    def __init__(self, objective: Objective, points: Points, coefficients: Array | None, frame: Frame | None) -> None:
        self._objective, self._frame = objective, frame
        self._points = points
        places = np.linspace(0, len(points) - 1, 5).astype(int)[1:4]
        self._C = None if coefficients is None else coefficients[places]
        self._some = _Some(points, places)
        self._begun = time.perf_counter()
        self.best = PLAIN
        plain = evaluator(objective)
        self._expected = plain.evaluate(self._some)
        self._least = _seconds(plain, self._some, self._C)
        # one pass over the three points costs `_least`; an attempt takes about three
        self._allowed = _SHARE * self._least * len(points) / len(self._some)
        self.can_pay = self._allowed > 3 * self._least

    @property
    def time_left(self) -> bool:
        return time.perf_counter() - self._begun < self._allowed

    def attempt(self, strategy: Strategy) -> None:
        """Take a strategy if it gives the same values in less time."""
        try:
            trial = evaluator(self._objective, strategy, self._frame)
            found = trial.evaluate(self._some, self._C)
        except (InputError, RuntimeError, ValueError, TypeError, IndexError):
            return  # a user's loss may refuse what the plain way gives it
        if not _agree(self._expected, found, self._objective.like.dtype):
            return
        seconds = _seconds(trial, self._some, self._C)
        if seconds < _GAIN * self._least:
            self.best, self._least = strategy, seconds


class _Some(Points):
    """A few of many points."""

    def __init__(self, points: Points, places: Array) -> None:
        self._points, self._places = points, [int(place) for place in places]

    def __len__(self) -> int:
        return len(self._places)

    def write(self, i: int, out: torch.Tensor) -> None:
        """Fill a tensor with one of them."""
        self._points.write(self._places[i], out)


def _wishes(objective: Objective, *, flat: bool) -> Iterator[dict[str, Any]]:
    """List changes to try, the most promising first."""
    parts = objective.parts
    if objective.like.is_cuda:
        yield from ({"points": points} for points in (4, 16, 64))
        return
    if flat:
        yield {"planes": True}
    yield {"cheaper": True, "samples": 512}
    yield {"onednn": True}
    if any(isinstance(layer, torch.nn.Conv2d) for layer in parts.twin.module.modules()):
        yield {"channels_last": True}
    yield from ({"samples": samples} for samples in (256, 1024, 0, 128))
    yield {"cheaper": True}


def _agree(expected: dict[str, Array], found: dict[str, Array], dtype: torch.dtype) -> bool:
    tolerance = _SAME.get(dtype, 1e-3)
    return all(
        np.allclose(found[name], values, rtol=tolerance, atol=0, equal_nan=True) for name, values in expected.items()
    )


def _seconds(trial: Evaluator, points: Points, coefficients: Array | None) -> float:
    times = []
    for _ in range(2):
        start = time.perf_counter()
        trial.evaluate(points, coefficients)
        times.append(time.perf_counter() - start)
    return min(times)
