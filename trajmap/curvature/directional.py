"""Curvatures of random directions, compared with the prediction of the spectrum."""

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
    """Measure curvatures dᵀHd of random unit directions, and compare them with the prediction of the spectrum.

    They are weighted averages of all eigenvalues, with mean tr H/P and variance 2 Σ(λ − λ̄)²/(P(P + 2)). If the mean is
    a few standard deviations above zero, a thousand random directions all have positive curvature, for any number of
    negative eigenvalues.

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
        Measured values, and the expectation from tr H and tr H², estimated from the same number of other products, with
        random signs.

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
    # draws other than the measured ones, so that the expectation is independent of the measurement
    mean, second = np.mean(list(quadratic_forms(hessian, n_directions, rng)), axis=0) / P
    spread = float(np.sqrt(max(2 * (second - mean**2) / (P + 2), 0.0)))
    return DirectionCurvatures(np.array(found), float(mean), spread)
