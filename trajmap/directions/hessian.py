"""The plane of extreme Hessian directions."""

import numpy as np

from trajmap._validation import Array, check_array, check_count
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import largest, smallest
from trajmap.data.plane import Plane
from trajmap.objective.objective import Objective

__all__ = ["hessian_plane"]


def hessian_plane(
    objective: Objective, theta: Array, *, n_top: int = 2, n_bottom: int = 0, tol: float = 1e-2, random_state: int = 0
) -> Plane:
    """Span a plane through a point by the Hessian's directions of highest and of lowest curvature.

    Random directions show the mean curvature of a landscape; saddles and sharp valleys appear only along extreme
    directions.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point, the plane's origin.
    n_top, n_bottom : int
        Number of directions of the largest and of the smallest (most negative) eigenvalues.
    tol : float
        Relative residual of the eigenpairs.
    random_state : int
        Seed of the search.

    Returns
    -------
    Plane
        Orthonormal up to `tol`, so that coordinates are parameter distances; the top directions come first.

    Raises
    ------
    InputError
        If no direction is requested, or more than P.

    References
    ----------
    L. Böttcher, G. Wheeler, Visualizing high-dimensional loss landscapes with Hessian directions, 2024.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(3, 1, bias=False)
    >>> x = torch.diag(torch.tensor([1.0, 2, 3]))
    >>> saddle = Objective(model, lambda m, x: (m(x)[:2] ** 2).sum() - m(x)[2, 0] ** 2, [x])
    >>> abs(hessian_plane(saddle, np.zeros(3), n_top=1, n_bottom=1, tol=1e-6).directions).round(4).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    theta = check_array("theta", theta, (objective.size,))
    check_count("n_top + n_bottom", n_top + n_bottom, high=objective.size)
    rows = []
    for n, order in ((n_top, largest), (n_bottom, smallest)):
        if n:
            found = top_eigenspace(objective, theta, n, tol=tol, order=order, random_state=random_state)
            rows.append(found.eigenvectors)
    return Plane(theta, np.concatenate(rows), "Hessian plane")
