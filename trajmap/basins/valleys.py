"""Valley height: the gain of averaging the last iterates, or of decaying the learning rate."""

from typing import Any

import numpy as np

from trajmap._validation import Array, check_count, worded
from trajmap.basins.batch_errors import batch_error
from trajmap.data.frame import Frame, stretches
from trajmap.data.gram import isometric_coordinates
from trajmap.data.progress import Counted, Progress
from trajmap.data.results.valley_height import ValleyHeight
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.memory import copies_budget
from trajmap.objective.objective import Objective
from trajmap.objective.points import FramePoints

__all__ = ["valley_height", "weighted"]

_BLOCKS = 10
_CHANCE = 0.95  # one-sided, of each end of the interval


def valley_height(
    objective: Objective,
    trajectory: Trajectory,
    *,
    n_last: int | None = None,
    n_products: int = 30,
    random_state: int = 0,
    progress: Progress | None = None,
) -> ValleyHeight:
    """Measure the gain of averaging a run's last iterates, and the height of its fluctuations above the valley floor.

    Parameters
    ----------
    objective : Objective
        The loss.
    trajectory : Trajectory
        The run.
    n_last : int, optional
        Number of iterates at its end; the last fifth by default. The run should be stationary there: a drift counts as
        height.
    n_products : int
        Number of Hessian products, at least 4: half of them along the principal directions of the window, the others
        along random combinations of the remaining directions, if any. Directions of small variance may be steep, so
        none is omitted.
    random_state : int
        Seed of the random combinations.
    progress : callable, optional
        Called with the Hessian products done and their number.

    Returns
    -------
    ValleyHeight
        Measured, with the interval of the gain, and forecast, with its error. The interval comes from omitting blocks
        of the window, and from the gains of the batches if there are several.

    Raises
    ------
    InputError
        If the window has fewer than four iterates or more than the run.

    References
    ----------
    On a quadratic, SGD with noise covariance C has a mean height of ½ Σ ηC_i/(2 − ηλ_i) above the floor: S. Mandt, M.
    Hoffman, D. Blei, Stochastic gradient descent as approximate Bayesian inference, 2017.

    Examples
    --------
    >>> import torch
    >>> bowl = Objective(torch.nn.Linear(2, 1, bias=False), lambda m, x: m(x).square().sum() / 2, [torch.eye(2)])
    >>> run = Trajectory.of(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]), layout=bowl.layout)
    >>> found = valley_height(bowl, run, n_last=4)
    >>> found.gain, found.height, round(found.forecast, 6)
    (0.5, 0.5, 0.5)
    """
    objective = objective.along(trajectory)
    T = trajectory.n_iterates
    n_last = max(4, T // 5) if n_last is None else n_last
    if not 4 <= n_last <= T:
        raise InputError(worded("n_last", f"4 to {T} iterates", n_last))
    last = trajectory.take(np.arange(T - n_last, T))
    losses = objective.values(last.iterates)
    mean = weighted(last.iterates, np.full(n_last, 1 / n_last))
    blocks = np.array_split(np.arange(n_last), min(_BLOCKS, n_last // 2))
    of_blocks = [losses[block].mean() for block in blocks]
    average = objective.value(mean)
    gain, error = float(losses[-1] - average), _gain_error(objective, last, mean, average, blocks)
    forecast, forecast_error = _quadratic(
        objective,
        last,
        mean,
        check_count("n_products", n_products, low=4),
        np.random.default_rng(random_state),
        progress,
    )
    return ValleyHeight(
        float(losses[-1]),
        average,
        float(losses.mean()),
        gain - error,
        gain + error,
        forecast,
        forecast_error,
        n_last,
        float(np.std(of_blocks, ddof=1) / np.sqrt(len(blocks))),
    )


def _gain_error(objective: Objective, last: Trajectory, mean: Array, average: float, blocks: list[Array]) -> float:
    """Half the width of the gain's interval, from averages that omit a block and from the gains of the batches."""
    from scipy.stats import t

    weights = np.array([np.where(np.isin(np.arange(last.n_iterates), block), 0.0, 1.0) for block in blocks])
    weights /= weights.sum(axis=1, keepdims=True)
    budget = copies_budget(objective.like, last.size, 4)
    points = FramePoints(Frame(np.zeros(last.size), last.iterates), weights, objective.like, budget=budget)
    without = objective.values(points)
    b = len(blocks)
    # the jackknife's variance about the whole window's average: omitting a block also raises the loss on average
    squared = (b - 1) / b * float(np.sum((without - average) ** 2)) * float(t.ppf(_CHANCE, b - 1)) ** 2
    ends = [objective.batch_losses(theta) for theta in (last.theta(-1), mean)]
    (n,) = ends[0][1].shape
    if n > 1:
        squared += (batch_error(ends[0][0] - ends[1][0], ends[0][1]) * float(t.ppf(_CHANCE, n - 1))) ** 2
    return float(np.sqrt(squared))


def _quadratic(
    objective: Objective,
    last: Trajectory,
    mean: Array,
    n_products: int,
    rng: np.random.Generator,
    progress: Progress | None,
) -> tuple[float, float]:
    """½ tr(H Cov) and its standard error: along leading directions separately, for the rest by random signs."""
    left, values, _ = np.linalg.svd(isometric_coordinates(last.iterates), full_matrices=False)
    rank = int(np.sum(values > 1e-9 * values[0])) if len(values) else 0
    k = rank if rank <= n_products else n_products // 2
    product, count = objective.hessian(mean), Counted(progress, rank if k == rank else n_products)

    def bend(weights: Array) -> float:
        direction = weighted(last.iterates, weights, mean)
        found = 0.5 / last.n_iterates * float(direction @ product(direction))
        count()
        return found

    # a column of `left` combines the iterates to a principal direction whose length is its singular value
    inside = sum(bend(left[:, i]) for i in range(k))
    if k == rank:
        return inside, 0.0
    outside = [bend(left[:, k:rank] @ rng.choice([-1.0, 1.0], rank - k)) for _ in range(n_products - k)]
    return inside + float(np.mean(outside)), float(np.std(outside, ddof=1) / np.sqrt(len(outside)))


def weighted(iterates: Any, weights: Array, center: Array | None = None) -> Array:
    """Sum weighted iterates minus a centre, float64, a range of columns at a time, shape (P,)."""
    found = np.empty(iterates.shape[1])
    for columns in stretches(len(iterates), len(found)):
        block = np.asarray(iterates[:, columns], dtype=np.float64)
        found[columns] = weights @ (block if center is None else block - center[columns])
    return found
