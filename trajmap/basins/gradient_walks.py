"""Walks through a landscape without an optimizer, and their statistics."""

from collections.abc import Callable

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive
from trajmap.data.progress import Progress, counted
from trajmap.data.results.gradient_cloud import GradientCloud
from trajmap.data.results.stagnation import Stagnation
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective

__all__ = ["gradient_walk", "loss_gradient_cloud", "stagnation"]


def gradient_walk(
    objective: Objective,
    start: Array,
    *,
    step: float,
    n_steps: int,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Trajectory:
    """Walk downhill by the signs of the gradient, each entry by a random length: a progressive gradient walk.

    Follows the published walk.

    Parameters
    ----------
    objective : Objective
        The loss.
    start : array-like, shape (P,)
        First point.
    step : float
        Largest length of an entry's step; 1 % of the range of initialisation is a micro walk, 10 % a macro walk.
    n_steps : int
        Steps.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the points done and their number.

    Returns
    -------
    Trajectory
        n_steps + 1 points with the scalars ``loss`` and ``gradient_norm``; it can be embedded and scored like a run.

    References
    ----------
    A. Bosman, A. Engelbrecht, M. Helbig, Progressive gradient walk for neural network fitness landscape analysis, 2018.
    """
    theta = check_array("start", start, (objective.size,), dtype=np.float64).copy()
    check_positive("step", step)
    rng = np.random.default_rng(random_state)
    thetas, norms = [], []
    for _ in counted(range(check_count("n_steps", n_steps) + 1), progress):
        gradient = objective.gradient(theta)
        thetas.append(theta)
        norms.append(float(np.linalg.norm(gradient)))
        # the published mask moves entries with zero slope upwards; the sign here follows it
        theta = theta + rng.uniform(0, step, len(theta)) * np.where(gradient > 0, -1.0, 1.0)
    scalars = {"loss": objective.values(np.array(thetas)), "gradient_norm": np.array(norms)}
    return Trajectory.of(np.array(thetas), layout=objective.layout, scalars=scalars)


def loss_gradient_cloud(
    objective: Objective,
    *,
    width: float = 1.0,
    n_walks: int = 10,
    n_steps: int = 100,
    relative_step: float = 0.01,
    kind: Callable[[Array], str] | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> GradientCloud:
    """Collect losses and gradient norms of gradient walks from random starts.

    Follows the published walks and cloud.

    Parameters
    ----------
    objective : Objective
        The loss.
    width : float
        Starts are uniform in [−width, width]^P.
    n_walks, n_steps : int
        Walks, and steps of each.
    relative_step : float
        Largest step of an entry, as a fraction of the range 2·width: 0.01 micro, 0.1 macro.
    kind : callable, optional
        Names the kind of each walk's last point, as
        ``lambda theta: curvature_class(objective.hessian(theta), objective.size).kind``.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the walks done and their number.

    Returns
    -------
    GradientCloud
        Losses and norms by walk, and the kinds of the last points.

    References
    ----------
    A. Bosman, A. Engelbrecht, M. Helbig, Empirical loss landscape analysis of neural network activation functions,
    2023.
    """
    check_positive("width", width)
    rng = np.random.default_rng(random_state)
    losses, norms, ends = [], [], []
    step = 2 * width * check_positive("relative_step", relative_step)
    for i in counted(range(check_count("n_walks", n_walks)), progress):
        start = rng.uniform(-width, width, objective.size)
        walk = gradient_walk(objective, start, step=step, n_steps=n_steps, random_state=random_state + i)
        losses.append(walk.scalars["loss"])
        norms.append(walk.scalars["gradient_norm"])
        if kind is not None:
            ends.append(kind(walk.theta(-1)))
    return GradientCloud(np.array(losses), np.array(norms), ends)


def stagnation(losses: Array, *, n_last: int = 10, tolerance: float = 1e-3) -> Stagnation:
    """Count the stretches of a walk on which the smoothed loss stands still: how often it meets something to stay at.

    A reconstruction of the published measures.

    Parameters
    ----------
    losses : array-like, shape (n,)
        Along a walk.
    n_last : int
        Steps of the moving mean.
    tolerance : float
        Largest change per step that counts as none, as a fraction of the range.

    Returns
    -------
    Stagnation
        Stretches of at least `n_last` steps, and how long they are.

    Examples
    --------
    >>> stagnation(np.r_[np.linspace(5, 1, 50), np.ones(60), np.linspace(1, 0, 50)]).count
    1
    """
    losses = check_array("losses", losses, (None,), dtype=np.float64)
    n = check_count("n_last", n_last, low=2, high=len(losses))
    smooth = np.convolve(losses, np.full(n, 1 / n), mode="valid")
    still = np.abs(np.diff(smooth)) <= check_positive("tolerance", tolerance) * max(float(np.ptp(losses)), 1e-300)
    edges = np.flatnonzero(np.diff(np.r_[0, still.astype(int), 0]))
    lengths = edges[1::2] - edges[::2]
    kept = lengths[lengths >= n]
    return Stagnation(len(kept), float(kept.mean()) if len(kept) else 0.0)
