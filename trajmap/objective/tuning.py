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
from trajmap.objective.operator import as_array
from trajmap.objective.points import Points
from trajmap.objective.strategy import PLAIN, Strategy

__all__ = ["Evaluates", "PlainEvaluator", "choose_strategy", "evaluator", "suits"]

# rounding of a sum in another order; a strategy that changes a value by more computes something else
_SAME = {torch.float64: 1e-12, torch.float32: 1e-6}
_GAIN = 0.98  # below it a difference of times is noise


class PlainEvaluator:
    """``objective.evaluate``, point by point."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def evaluate(self, points: Points, coefficients: Array | None = None) -> dict[str, Array]:
        """Loss and metrics at points, by name, shape (n,) each; coefficients are not used."""
        flat = self._objective.like.new_empty(self._objective.size)
        rows = []
        for i in range(len(points)):
            points.write(i, flat)
            rows.append(self._objective.evaluate(as_array(flat)[None]))
        return {name: np.array([row[name][0] for row in rows]) for name in self._objective.parts.functions}


Evaluates = Evaluator | PlainEvaluator


def evaluator(objective: Objective, strategy: Strategy = PLAIN, frame: Frame | None = None) -> Evaluates:
    """Make what evaluates an objective by a strategy; `PLAIN` is ``objective.evaluate``."""
    return PlainEvaluator(objective) if strategy == PLAIN else Evaluator(objective.parts, strategy, frame)


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
    objective: Objective,
    points: Points,
    coefficients: Array | None = None,
    frame: Frame | None = None,
    *,
    repeats: int = 3,
) -> Strategy:
    """Time the strategies on a few points and choose the fastest of those with the same values.

    Each choice is kept when it saves at least 2 %, and the result must still beat the plain way in the end. The
    same values means 1e-6 relative in float32 and 1e-12 in float64, for the loss and every metric at every point.

    Parameters
    ----------
    objective : Objective
        The loss.
    points : Points
        Points to try; three are enough, far from each other.
    coefficients : array-like, shape (n, m), optional
        Their coefficients in `frame`.
    frame : Frame, optional
        The frame that they lie on.
    repeats : int
        Timings of each strategy, of which the least counts.

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
    expected = evaluator(objective).evaluate(points)
    if objective.parts.re_estimates:
        return PLAIN  # the statistics of a point need all of its data first
    best, least = PLAIN, _seconds(evaluator(objective), points, coefficients, repeats)
    for wish in _wishes(objective, frame):
        trial = dataclasses.replace(best, **wish)
        try:
            found = evaluator(objective, trial, frame)
            same = _agree(expected, found.evaluate(points, coefficients), objective.like.dtype)
        except (InputError, RuntimeError, ValueError, TypeError, IndexError):
            continue  # a user's loss may refuse what the plain way gives it
        seconds = _seconds(found, points, coefficients, repeats) if same else np.inf
        if seconds < _GAIN * least:
            best, least = trial, seconds
    if best == PLAIN:
        return PLAIN
    fast, plain = evaluator(objective, best, frame), evaluator(objective)
    pairs = [tuple(_seconds(one, points, coefficients, 1) for one in (fast, plain)) for _ in range(repeats)]
    return best if min(pair[0] for pair in pairs) < min(pair[1] for pair in pairs) else PLAIN


def _wishes(objective: Objective, frame: Frame | None) -> Iterator[dict[str, Any]]:
    parts = objective.parts
    if parts.tensor(objective.theta).is_cuda:
        yield {"in_place": True}
        yield from ({"points": points} for points in (4, 16, 64))
        return
    convolves = any(isinstance(layer, torch.nn.Conv2d) for layer in parts.module.modules())
    yield {"in_place": True}
    yield {"in_place": True, "cheaper": True}
    yield {"in_place": True, "onednn": True}
    yield from ({"in_place": True, "samples": samples} for samples in (1024, 512, 256))
    if frame is not None:
        yield {"in_place": True, "planes": True}
    if convolves:
        yield {"in_place": True, "channels_last": True}
    yield from ({"in_place": True, "samples": samples} for samples in (0, 512, 128))


def _agree(expected: dict[str, Array], found: dict[str, Array], dtype: torch.dtype) -> bool:
    tolerance = _SAME.get(dtype, 1e-3)
    return all(
        np.allclose(found[name], values, rtol=tolerance, atol=0, equal_nan=True) for name, values in expected.items()
    )


def _seconds(evaluate: Evaluates, points: Points, coefficients: Array | None, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        evaluate.evaluate(points, coefficients)
        times.append(time.perf_counter() - start)
    return min(times)
