"""The line or plane of the gradient."""

import numpy as np

from trajmap._validation import Array, check_array
from trajmap.data.plane import Plane
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["gradient_plane"]


def gradient_plane(objective: Objective, theta: Array, *, n_components: int = 2) -> Plane:
    """Span a line by the gradient at a point, or a plane by the gradient g and the part of Hg orthogonal to it.

    The plane holds, to second order, the gradient-descent path from the point.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point, the plane's origin.
    n_components : int
        1 or 2.

    Returns
    -------
    Plane
        Orthonormal directions; the first is the direction of ascent.

    Raises
    ------
    InputError
        If the gradient is zero, or is an eigenvector of the Hessian, so that no second direction exists.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> bowl = Objective(model, lambda m, x: (m(x)[0] ** 2 + 2 * m(x)[1] ** 2).sum(), [torch.eye(2)])
    >>> gradient_plane(bowl, [1.0, 0.0], n_components=1).directions.tolist()
    [[1.0, 0.0]]
    """
    theta = check_array("theta", theta, (objective.size,))
    if n_components not in {1, 2}:
        raise InputError(f"n_components: expected 1 or 2, got {n_components}")
    gradient = objective.gradient(theta)
    norm = float(np.linalg.norm(gradient))
    if not np.isfinite(norm) or norm == 0:
        raise InputError(f"theta: expected a point with a finite gradient that is not zero, got norm {norm}")
    rows = [gradient / norm]
    if n_components == 2:
        Hv = objective.hvp(theta, rows[0])
        beside = Hv - (Hv @ rows[0]) * rows[0]
        size = float(np.linalg.norm(beside))
        # 1e-6: float32 products carry no direction below it
        if not size > 1e-6 * np.linalg.norm(Hv):
            raise InputError("n_components: expected 1 if the gradient is an eigenvector of the Hessian, got 2")
        rows.append(beside / size)
    return Plane(theta, np.stack(rows), "gradient plane")
