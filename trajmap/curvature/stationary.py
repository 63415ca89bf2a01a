"""A part of a run compared with the theory of a quadratic valley."""

import numpy as np

from trajmap._validation import check_array, check_count, check_positive, worded
from trajmap.curvature.shares import frozen_quadratic_run
from trajmap.data.results.batch_gradients import BatchGradients
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.quadratic_horizon import QuadraticHorizon
from trajmap.data.results.stationary_check import StationaryCheck
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["quadratic_horizon", "stationary_check", "window_factor"]


def window_factor(decay: float, n: int) -> float:
    """Share of the stationary variance in the sample variance of n successive points of an AR(1) process.

    Parameters
    ----------
    decay : float
        Correlation of successive points, in (−1, 1).
    n : int
        Points.

    Returns
    -------
    float
        1 − n⁻² Σ_ij decay^|i−j|: in [0, 1], near 0 if the window is short compared with the memory.

    Examples
    --------
    >>> round(window_factor(0.0, 4), 6)
    0.75
    """
    lags = np.arange(1, check_count("n", n))
    return float(1 - (n + 2 * np.sum((n - lags) * float(decay) ** lags)) / n**2)


def stationary_check(
    trajectory: Trajectory,
    space: Eigenspace,
    gradients: BatchGradients,
    *,
    lr: float,
    n_last: int | None = None,
) -> StationaryCheck:
    """Compare a late window's variances along eigenvectors with those of SGD without momentum in a quadratic valley.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    space : Eigenspace
        The Hessian's, at the end or at the window's mean.
    gradients : BatchGradients
        Those there, with the optimizer's batch size: the noise C.
    lr : float
        Learning rate η.
    n_last : int, optional
        Number of last iterates; by default a third of the run.

    Returns
    -------
    StationaryCheck
        The comparison. Along flat directions any window looks like a random walk, which the window's factor corrects.

    Raises
    ------
    InputError
        If there are fewer than four iterates in the window.

    References
    ----------
    S. Mandt, M. Hoffman, D. Blei, Stochastic gradient descent as approximate Bayesian inference, 2017.
    """
    rate = check_positive("lr", lr)
    n = max(4, trajectory.n_iterates // 3) if n_last is None else n_last
    if not 4 <= n <= trajectory.n_iterates:
        raise InputError(worded("n_last", f"4 to {trajectory.n_iterates} iterates", n))
    V = space.eigenvectors.astype(np.float64)
    along = np.stack([V @ np.asarray(trajectory.theta(i), dtype=np.float64)
                      for i in range(trajectory.n_iterates - n, trajectory.n_iterates)])  # fmt: skip
    rows = check_array("gradients", gradients.gradients, (None, V.shape[1]), dtype=np.float64)
    centred = (rows - gradients.weights @ rows) @ V.T
    noise = gradients.weights @ centred**2
    spacing = float(np.median(np.diff(trajectory.steps[-n:])))
    expected = []
    for value, c in zip(space.eigenvalues, noise, strict=True):
        stable = 0 < rate * value < 2
        whole = rate * c / (value * (2 - rate * value)) if stable else np.nan
        expected.append(whole * window_factor((1 - rate * value) ** spacing, n) if stable else np.nan)
    return StationaryCheck(space.eigenvalues, along.var(axis=0), np.array(expected))


def quadratic_horizon(
    objective: Objective, trajectory: Trajectory, place: int, *, lr: float, n_iterates: int = 10, momentum: float = 0.0
) -> QuadraticHorizon:
    """Compare a run's displacement with that of gradient descent on the frozen quadratic at one iterate.

    Parameters
    ----------
    objective : Objective
        The training loss.
    trajectory : Trajectory
        The run.
    place : int
        The iterate of the quadratic model.
    lr, momentum : float
        Of the optimizer.
    n_iterates : int
        Later iterates to compare.

    Returns
    -------
    QuadraticHorizon
        Cosines of the two displacements by step.

    Raises
    ------
    InputError
        If there are fewer later iterates.
    """
    T = trajectory.n_iterates
    if not 0 <= place < T - n_iterates:
        raise InputError(worded("place", f"a place in [0, {T - n_iterates - 1}]", place))
    theta = np.asarray(trajectory.theta(place), dtype=np.float64)
    steps = (trajectory.steps[place + 1 : place + 1 + n_iterates] - trajectory.steps[place]).astype(int)
    frozen = frozen_quadratic_run(
        objective.hessian(theta), objective.gradient(theta), lr=lr, n_steps=int(steps[-1]), momentum=momentum
    )
    cosines = []
    for i, step in enumerate(steps):
        real = np.asarray(trajectory.theta(place + 1 + i), dtype=np.float64) - theta
        cosines.append(float(real @ frozen[step] / (np.linalg.norm(real) * np.linalg.norm(frozen[step]))))
    return QuadraticHorizon(steps, np.array(cosines))
