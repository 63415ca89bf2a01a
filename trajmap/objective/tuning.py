"""Choose the fastest evaluation of an objective with the same values."""

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

# rounding of a sum in another order; a strategy with a larger change computes something else
_SAME = {torch.float64: 1e-12, torch.float32: 1e-6}
_GAIN = 0.98  # smaller differences of times are noise
_SHARE = 0.03  # of the work, for the trials
_WORTH = 200  # points of which three plain evaluations and three of a first attempt are 3 %


def evaluator(objective: Objective, strategy: Strategy = PLAIN, frame: Frame | None = None) -> Evaluator:
    """Make the evaluator of an objective for a strategy.

    Parameters
    ----------
    objective : Objective
        The loss.
    strategy : Strategy
        The strategy; `PLAIN` equals ``objective.evaluate``.
    frame : Frame, optional
        The frame of which the points are combinations.

    Returns
    -------
    Evaluator
        Its ``evaluate(points, coefficients)`` returns ``{name: values}``.

    Raises
    ------
    InputError
        If the strategy does not suit the model.
    """
    return Evaluator(objective.parts, strategy, frame)


def suits(objective: Objective, strategy: Strategy, frame: Frame | None = None) -> bool:
    """Return whether a model can be evaluated by a strategy, without comparing values."""
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
    """Try strategies on a few points, for 3 % of the total time, and keep the fastest.

    A strategy is kept if it saves at least 2 % of the time and gives the same values (relative error 1e-6 in float32
    and 1e-12 in float64) for the loss and every metric. If the points are so few that no trial fits in this time,
    nothing is tried. The objective remembers the result.

    Parameters
    ----------
    objective : Objective
        The loss.
    points : Points
        All points to evaluate; the trials use three distant ones.
    coefficients : array-like, shape (n, m), optional
        Their coefficients in `frame`.
    frame : Frame, optional
        The frame of which they are combinations, for combining the layers whose input is only data.

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
        return PLAIN  # the statistics of a point need all of the data first
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
    """The best strategy so far, and the time left for the search."""

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
        """Whether an attempt, of three evaluations, fits in the time."""
        return time.perf_counter() - self._begun + 3 * self._least < self._allowed

    def attempt(self, strategy: Strategy) -> None:
        """Take a strategy if it gives the same values in less time."""
        try:
            found, seconds = self._measured(evaluator(self._objective, strategy, self._frame))
        except (InputError, RuntimeError, ValueError, TypeError, IndexError):
            return  # a user's loss may fail on inputs other than the plain ones
        if seconds < _GAIN * self._least and _agree(self._expected, found, self._objective.like.dtype):
            self.best, self._least = strategy, seconds

    def _measured(self, trial: Evaluator) -> tuple[dict[str, Array], float]:
        """Values at the points, and the seconds per point; the first is a warm-up."""
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
