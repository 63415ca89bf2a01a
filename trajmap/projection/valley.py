"""Valley height: what averaging the last iterates, or decaying the learning rate, would gain."""

import dataclasses
from typing import Any

import numpy as np

from trajmap._validation import Array, check_count, worded
from trajmap.data.frame import stretches
from trajmap.data.gram import isometric_coordinates
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["ValleyHeight", "valley_height", "weighted"]


@dataclasses.dataclass(frozen=True)
class ValleyHeight:
    """How high above its valley's floor a run shakes.

    Parameters
    ----------
    gain : float
        Mean loss of the window's iterates minus the loss of their mean: measured, by doing it.
    forecast : float
        ½ tr(H Cov) at the mean, by Hessian products: what a quadratic valley would give.
    deviation : float
        Standard error of `gain`, from block means of the iterates' losses.
    n_iterates : int
        Iterates in the window.
    loss : float
        Loss of the mean.
    """

    gain: float
    forecast: float
    deviation: float
    n_iterates: int
    loss: float

    def __str__(self) -> str:
        return (
            f"averaging the last {self.n_iterates} iterates gains {self.gain:.3g} ± {self.deviation:.1g} "
            f"(a quadratic valley: {self.forecast:.3g}), to a loss of {self.loss:.4g}"
        )


def valley_height(
    objective: Objective, trajectory: Trajectory, *, window: int | None = None, n_products: int = 30
) -> ValleyHeight:
    """Measure the valley height of a run's last iterates, and forecast it by the Hessian.

    Parameters
    ----------
    objective : Objective
        The loss.
    trajectory : Trajectory
        The run.
    window : int, optional
        Iterates at its end; the last fifth by default. The run should be stationary there: a drift counts as
        height.
    n_products : int
        Hessian products: the principal directions of the window with the largest variance, the rest of the
        variance being given their weighted mean curvature.

    Returns
    -------
    ValleyHeight
        Measured and forecast.

    Raises
    ------
    InputError
        If the window holds fewer than four iterates or more than there are.

    References
    ----------
    On a quadratic, SGD with noise covariance C stays ½ Σ ηC_i/(2 − ηλ_i) above the floor: S. Mandt, M. Hoffman,
    D. Blei, Stochastic gradient descent as approximate Bayesian inference, 2017.

    Examples
    --------
    >>> import torch
    >>> bowl = Objective(torch.nn.Linear(2, 1, bias=False), lambda m, x: m(x).square().sum() / 2, [torch.eye(2)])
    >>> run = Trajectory.of(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]), layout=bowl.layout)
    >>> height = valley_height(bowl, run, window=4)
    >>> height.gain, round(height.forecast, 9)
    (0.5, 0.5)
    """
    objective = objective.along(trajectory)
    T = trajectory.n_iterates
    window = max(4, T // 5) if window is None else window
    if not 4 <= window <= T:
        raise InputError(worded("window", f"4 to {T} iterates", window))
    last = trajectory.take(np.arange(T - window, T))
    losses = np.array([objective.value(theta) for theta in last.iterates])
    mean = weighted(last.iterates, np.full(window, 1 / window))
    blocks = [block.mean() for block in np.array_split(losses, min(10, window // 2))]
    floor = objective.value(mean)
    return ValleyHeight(
        float(losses.mean() - floor),
        _quadratic(objective, last, mean, check_count("n_products", n_products)),
        float(np.std(blocks, ddof=1) / np.sqrt(len(blocks))),
        window,
        floor,
    )


def _quadratic(objective: Objective, last: Trajectory, mean: Array, n_products: int) -> float:
    """½ tr(H Cov), over principal directions of the window."""
    X = isometric_coordinates(last.iterates)
    left, values, _ = np.linalg.svd(X, full_matrices=False)
    k = min(n_products, int(np.sum(values > 1e-9 * values[0])))
    product = objective.hessian(mean)
    bent = 0.0
    for i in range(k):
        direction = weighted(last.iterates, left[:, i] / values[i], mean)
        bent += values[i] ** 2 * float(direction @ product(direction))
    covered = float(np.sum(values[:k] ** 2))
    # what is left out bends like what is not, in the mean over the variance
    return float(0.5 * bent / len(X) * np.sum(values**2) / covered)


def weighted(iterates: Any, weights: Array, center: Array | None = None) -> Array:
    """Sum iterates less a centre with weights, float64, a stretch of columns at a time, shape (P,)."""
    found = np.empty(iterates.shape[1])
    for columns in stretches(len(iterates), len(found)):
        block = np.asarray(iterates[:, columns], dtype=np.float64)
        found[columns] = weights @ (block if center is None else block - center[columns])
    return found
