"""Why random directions bend up: their curvatures beside what the spectrum says of them."""

import numpy as np

from trajmap._validation import Array, check_array, check_count
from trajmap.curvature.krylov import dot
from trajmap.curvature.probes import quadratic_forms, random_sphere
from trajmap.data.progress import Progress
from trajmap.data.results.direction_curvatures import DirectionCurvatures
from trajmap.objective.objective import Objective
from trajmap.objective.operator import Watched

__all__ = ["direction_curvatures"]


def direction_curvatures(
    objective: Objective,
    theta: Array,
    *,
    n_directions: int = 50,
    random_state: int = 0,
    progress: Progress | None = None,
) -> DirectionCurvatures:
    """Curvatures dᵀHd of random unit directions beside what the spectrum says of them.

    They are weighted averages of all eigenvalues: mean tr H/P, variance 2 Σ(λ − λ̄)²/(P(P + 2)). A thousand directions
    bend up as soon as tr H is a few of these deviations above zero, however many eigenvalues are negative.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    n_directions : int
        Directions.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the products done and their number.

    Returns
    -------
    DirectionCurvatures
        Measured, and expected by tr H and tr H² from as many other products, with random signs.

    References
    ----------
    L. Böttcher, G. Wheeler, Visualizing high-dimensional loss landscapes with Hessian directions, 2024.

    Examples
    --------
    >>> import torch
    >>> H = torch.where(torch.arange(1000) < 400, -1.0, 1.0)
    >>> half = Objective(torch.nn.Linear(1000, 1, bias=False), lambda m, x: (H * m(x)[:, 0] ** 2).sum() / 2,
    ...                  [torch.eye(1000)])
    >>> found = direction_curvatures(half, np.zeros(1000))  # 40 % of the eigenvalues are negative
    >>> found.share_up, round(found.mean, 6)
    (1.0, 0.2)
    """
    theta = check_array("theta", theta, (objective.size,))
    rng, P = np.random.default_rng(random_state), objective.size
    check_count("n_directions", n_directions)
    hessian = Watched(objective.hessian(theta), progress, 2 * n_directions)
    found = []
    for _ in range(n_directions):
        d = random_sphere(hessian, rng)
        found.append(dot(d, hessian.multiply(d)) / P)
    # other draws than the measured ones: what is expected must not be made of what it is compared with
    mean, second = np.mean(list(quadratic_forms(hessian, n_directions, rng)), axis=0) / P
    spread = float(np.sqrt(max(2 * (second - mean**2) / (P + 2), 0.0)))
    return DirectionCurvatures(np.array(found), float(mean), spread)
