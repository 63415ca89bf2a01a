"""Test a statistic of a run against surrogates of it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.gram import isometric_coordinates
from trajmap.data.progress import Progress, counted
from trajmap.data.results.null_test import NullTest
from trajmap.data.trajectory import Trajectory
from trajmap.scores.statistics import leading_share
from trajmap.scores.surrogates import Surrogate, check_run, check_size, walks

__all__ = ["null_test"]


def null_test(
    run: Trajectory | Array,
    statistic: Callable[[Array], float] = leading_share,
    *,
    surrogate: Surrogate = walks,
    size: int | None = None,
    n_draws: int = 99,
    random_state: int = 0,
    progress: Progress | None = None,
) -> NullTest:
    """Compute a statistic of a run and of surrogates with the same number of points.

    Parameters
    ----------
    run : Trajectory or array-like, shape (T, r)
        A run, or isometric coordinates of one (row space).
    statistic : callable
        ``statistic(X) -> float`` of isometric coordinates, for example one of ``trajmap.scores``;
        ``score_statistic(embedding, score)`` makes one from any score.
    surrogate : callable
        `walks`, `sign_flips`, `block_shuffles`, `ornstein_uhlenbeck`, or a similar function. Each tests another
        question: walks test for any structure, sign flips for a drift, block shuffles for memory beyond a block,
        Ornstein–Uhlenbeck for more than relaxation and noise.
    size : int, optional
        P, the number of parameters; by default that of the trajectory, required with coordinates.
    n_draws : int
        Number of surrogates; p is at least 2/(n_draws + 1).
    random_state : int
        Seed.
    progress : callable, optional
        Called with the draws done and their number.

    Returns
    -------
    NullTest
        Value, null distribution, p and z.

    Raises
    ------
    InputError
        If there are fewer than four points, one is not finite, or coordinates are given without `size`.

    Examples
    --------
    >>> line = np.outer(np.arange(30.0), np.ones(5))
    >>> test = null_test(line, size=10_000, n_draws=39)
    >>> round(test.value, 6), test.p
    (1.0, 0.05)
    """
    if isinstance(run, Trajectory):
        X, size = isometric_coordinates(run.iterates), run.size if size is None else size
    else:
        X = np.asarray(run, dtype=np.float64)
    check_run(X)
    size = check_size(size)
    rng = np.random.default_rng(random_state)
    draws = [statistic(surrogate(X, size, rng)) for _ in counted(range(check_count("n_draws", n_draws)), progress)]
    return NullTest(statistic(X), np.array(draws), _name(statistic), _name(surrogate))


def _name(function: Any) -> str:
    return (
        str(getattr(function, "__name__", type(function).__name__)).replace("_", " ").replace("<lambda>", "statistic")
    )
