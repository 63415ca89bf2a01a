"""Walks of a fixed relative length from a solution, and the rise of the loss along them."""

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive
from trajmap.data.progress import Progress, counted
from trajmap.data.results.walk_rise import WalkRise
from trajmap.objective.objective import Objective

__all__ = ["random_walk_rise"]


def random_walk_rise(
    objective: Objective,
    theta: Array,
    *,
    sigma: float,
    n_steps: int,
    n_walks: int = 10,
    trace: float = float("nan"),
    random_state: int = 0,
    progress: Progress | None = None,
) -> WalkRise:
    """Evaluate the loss along random walks from a solution, in antithetic pairs ±ξ, so that the gradient cancels.

    E[L(θ_t) − L(θ_0)] = ½ σ² t tr H while the loss is quadratic along the walk; it is exact on quadratics. Follows the
    published protocol with reconstructed step sizes.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The solution.
    sigma : float
        Standard deviation of a step in each entry.
    n_steps : int
        Steps.
    n_walks : int
        Number of pairs of walks.
    trace : float
        tr H at the solution, from ``hutchinson``, for the theoretical law.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the walks done and their number.

    Returns
    -------
    WalkRise
        Rises of the pairs, and the theoretical law.

    References
    ----------
    C. Liao et al., Exploring loss landscapes through the lens of spin glass theory, 2024.
    """
    theta = check_array("theta", theta, (objective.size,), dtype=np.float64)
    check_positive("sigma", sigma)
    rng, start = np.random.default_rng(random_state), objective.value(theta)
    rises = []
    for _ in counted(range(check_count("n_walks", n_walks, low=2)), progress):
        move, row = np.zeros(len(theta)), [0.0]
        for _ in range(check_count("n_steps", n_steps)):
            move = move + sigma * rng.standard_normal(len(theta))
            row.append(float(objective.values(np.stack([theta + move, theta - move])).mean()) - start)
        rises.append(row)
    return WalkRise(np.array(rises), float(sigma), float(trace))
