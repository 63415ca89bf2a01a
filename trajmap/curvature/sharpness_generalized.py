"""Sharpness for non-Euclidean steps: the largest curvature in the ball of another norm."""

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_choice, check_count
from trajmap.data.layout import Layout
from trajmap.objective.objective import Objective
from trajmap.objective.operator import Operator

__all__ = ["generalized_sharpness"]


def generalized_sharpness(
    objective: Objective, theta: Array, norm: str = "inf", *, starts: int = 4, most: int = 50, random_state: int = 0
) -> float:
    """Find a large dᵀHd over the unit ball of a norm: the sharpness for signed or orthogonalised steps.

    The update is d ← sign(Hd), or the orthogonal factor of Hd for each matrix; it is repeated from several starts until
    dᵀHd stops growing. On convex problems each start ends at a local maximum. The result is attained, so it is a lower
    bound of the maximum. Descent by −η‖g‖₁ sign(g), or with orthogonal factors and the nuclear norm, is stable on a
    quadratic if the result is below 2/η. Steps of fixed length, as in Lion and Muon, have no such bound.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    norm : str
        ``"inf"``: largest entry, as for signed steps; ``"spectral"``: largest singular value of each matrix, as for
        Muon, with parameters of other than two dimensions fixed.
    starts : int
        Number of random starts.
    most : int
        Maximum number of products per start.
    random_state : int
        Seed.

    Returns
    -------
    float
        dᵀHd of the best d.

    Examples
    --------
    >>> H = np.diag([3.0, 2.0, 0.5])
    >>> bowl = Objective.from_function(lambda x: 0.5 * x @ H @ x, size=3, gradient=lambda x: H @ x)
    >>> round(generalized_sharpness(bowl, np.zeros(3)), 6)
    5.5
    """
    theta = check_array("theta", theta, (objective.size,))
    check_choice("norm", norm, ("inf", "spectral"))
    check_count("starts", starts)
    check_count("most", most)
    hessian, rng = objective.hessian(theta), np.random.default_rng(random_state)
    found = [_climb(hessian, hessian.tensor(rng.standard_normal(objective.size)), objective.layout, norm, most)
             for _ in range(starts)]  # fmt: skip
    return max(found)


def _climb(hessian: Operator, vector: torch.Tensor, layout: Layout, norm: str, most: int) -> float:
    best = -np.inf
    step = _corner(vector, layout, norm)
    for _ in range(most):
        product = hessian.multiply(step)
        value = float(step.double() @ product.double())
        if not value > best * (1 + 1e-6 * np.sign(best)) and np.isfinite(best):
            break
        best = value
        step = _corner(product, layout, norm)
    return best


def _corner(vector: torch.Tensor, layout: Layout, norm: str) -> torch.Tensor:
    """Find the point of the unit ball at which a linear function is largest."""
    if norm == "inf":
        return torch.where(vector < 0, -torch.ones_like(vector), torch.ones_like(vector))
    found = torch.zeros_like(vector)
    for where, shape in zip(layout.slices.values(), layout.shapes, strict=True):
        if len(shape) == 2:
            left, values, right = torch.linalg.svd(vector[where].reshape(shape), full_matrices=False)
            kept = values > values.max() * 1e-6
            found[where] = ((left * kept) @ right).reshape(-1)
    return found
