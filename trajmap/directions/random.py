"""Planes through a point in random directions."""

import numpy as np

from trajmap._validation import Array, check_array, check_count
from trajmap.data.normalise import Normalise, filter_norm
from trajmap.data.plane import Plane
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective

__all__ = ["random_plane"]


def random_plane(
    objective: Objective | Trajectory,
    theta: Array,
    *,
    n_components: int = 2,
    normalise: Normalise = filter_norm,
    random_state: int = 0,
) -> Plane:
    """Span a plane by Gaussian directions at a point.

    Parameters
    ----------
    objective : Objective or Trajectory
        The loss, or a run: its layout names the parameter of each entry of θ.
    theta : array-like, shape (P,)
        The point; it is the plane's origin, so its loss is at z = 0 exactly.
    n_components : int
        d, the number of directions.
    normalise : callable
        How to scale them: `filter_norm`, `layer_norm`, `tensor_norm`, `model_norm`, `no_norm`, or another
        ``f(direction, theta, layout)``.
    random_state : int
        Seed.

    Returns
    -------
    Plane
        Only nearly orthogonal: random directions of R^P have |cosine| of about √(2/(πP)).

    Raises
    ------
    InputError
        If θ does not fit the layout.

    References
    ----------
    H. Li et al., Visualizing the loss landscape of neural nets, 2018.

    Examples
    --------
    >>> import torch
    >>> linear = Objective(torch.nn.Linear(4, 3, bias=False), lambda m, x: m(x).square().sum(), [torch.ones(1, 4)])
    >>> plane = random_plane(linear, np.ones(12))
    >>> np.linalg.norm(plane.directions.reshape(2, 3, 4), axis=2).round(6).tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """
    layout = objective.layout
    theta = check_array("theta", theta, (layout.size,))
    rng = np.random.default_rng(random_state)
    draws = rng.standard_normal((check_count("n_components", n_components), layout.size))
    return Plane(theta, np.stack([normalise(draw, theta, layout) for draw in draws]), "random plane")
