"""Choosing the fastest way to evaluate an objective that gives the same values."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array
from trajmap.data.plane import Plane
from trajmap.errors import InputError
from trajmap.objective.evaluator import Evaluator
from trajmap.objective.objective import Objective
from trajmap.objective.strategy import PLAIN, Strategy

__all__ = ["Evaluate", "choose_strategy", "evaluator", "suits"]

Evaluate = Callable[[Array, Array | None], dict[str, Array]]

# rounding of a sum in another order; a strategy that changes a value by more computes something else
_SAME = {torch.float64: 1e-12, torch.float32: 1e-6}
_GAIN = 0.98  # below it a difference of times is noise


def evaluator(objective: Objective, strategy: Strategy = PLAIN, plane: Plane | None = None) -> Evaluate:
    """Make the function that evaluates an objective by a strategy.

    Parameters
    ----------
    objective : Objective
        The loss.
    strategy : Strategy
        How; `PLAIN` is ``objective.evaluate``.
    plane : Plane, optional
        The flat chart that the points lie on.

    Returns
    -------
    callable
        ``evaluate(thetas, Z) -> {name: values}``.

    Raises
    ------
    InputError
        If the strategy does not suit the model.
    """
    if strategy == PLAIN:
        return functools.partial(_plain, objective)
    return Evaluator(objective.parts, strategy, plane).evaluate


def _plain(objective: Objective, thetas: Array, Z: Array | None = None) -> dict[str, Array]:
    return objective.evaluate(thetas)


def suits(objective: Objective, strategy: Strategy, plane: Plane | None = None) -> bool:
    """Say whether a model can be evaluated by a strategy, without comparing values."""
    if objective.parts.re_estimates:
        return strategy == PLAIN
    try:
        evaluator(objective, strategy, plane)
    except InputError:
        return False
    return True


def choose_strategy(
    objective: Objective, thetas: Array, Z: Array | None = None, plane: Plane | None = None, *, repeats: int = 3
) -> Strategy:
    """Time the strategies on a few points and choose the fastest of those with the same values.

    Each choice is kept when it saves at least 2 %, and the result must still beat the plain way in the end. The
    same values means 1e-6 relative in float32 and 1e-12 in float64, for the loss and every metric at every point.

    Parameters
    ----------
    objective : Objective
        The loss.
    thetas : array-like, shape (n, P)
        Points to try; three are enough, far from each other.
    Z : array-like, shape (n, d), optional
        Their coordinates on `plane`.
    plane : Plane, optional
        The flat chart that they lie on.
    repeats : int
        Timings of each strategy, of which the least counts.

    Returns
    -------
    Strategy
        The choice.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1)
    >>> bowl = Objective(model, lambda m, x: m(x).square().mean(), [torch.eye(2)])
    >>> choice = choose_strategy(bowl, np.zeros((1, 3)))
    >>> choice.planes, choice.channels_last
    (False, False)
    """
    thetas = check_array("thetas", thetas, (None, objective.size))
    expected = objective.evaluate(thetas)
    if objective.parts.re_estimates:
        return PLAIN  # the statistics of a point need all of its data first
    best, least = PLAIN, _seconds(evaluator(objective), thetas, Z, repeats)
    for wish in _wishes(objective, plane):
        trial = dataclasses.replace(best, **wish)
        try:
            found = evaluator(objective, trial, plane)
            same = _agree(expected, found(thetas, Z), objective.parts.tensor(thetas[0]).dtype)
        except (InputError, RuntimeError, ValueError, TypeError, IndexError):
            continue  # a user's loss may refuse what the plain way gives it
        seconds = _seconds(found, thetas, Z, repeats) if same else np.inf
        if seconds < _GAIN * least:
            best, least = trial, seconds
    if best == PLAIN:
        return PLAIN
    fast, plain = evaluator(objective, best, plane), evaluator(objective)
    pairs = [(_seconds(fast, thetas, Z, 1), _seconds(plain, thetas, Z, 1)) for _ in range(repeats)]
    return best if min(pair[0] for pair in pairs) < min(pair[1] for pair in pairs) else PLAIN


def _wishes(objective: Objective, plane: Plane | None) -> Iterator[dict[str, Any]]:
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
    if plane is not None:
        yield {"in_place": True, "planes": True}
    if convolves:
        yield {"in_place": True, "channels_last": True}
    yield from ({"in_place": True, "samples": samples} for samples in (0, 512, 128))


def _agree(expected: dict[str, Array], found: dict[str, Array], dtype: torch.dtype) -> bool:
    tolerance = _SAME.get(dtype, 1e-3)
    return all(
        np.allclose(found[name], values, rtol=tolerance, atol=0, equal_nan=True) for name, values in expected.items()
    )


def _seconds(evaluate: Evaluate, thetas: Array, Z: Array | None, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        evaluate(thetas, Z)
        times.append(time.perf_counter() - start)
    return min(times)
