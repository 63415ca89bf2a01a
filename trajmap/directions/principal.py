"""The plane of a trajectory's principal components."""

import numpy as np

from trajmap._validation import check_count
from trajmap.data.fan import Fan
from trajmap.data.plane import Plane
from trajmap.data.trajectory import Trajectory
from trajmap.reduction.rowspace import RowSpace

__all__ = ["principal_plane"]


def principal_plane(trajectory: Trajectory | Fan, *, n_components: int = 2, origin: int | None = None) -> Plane:
    """Span a plane by the first principal components of the iterates, mean-centred.

    Parameters
    ----------
    trajectory : Trajectory or Fan
        The run, or several runs as one cloud, for a common plane.
    n_components : int
        d, the number of components.
    origin : int, optional
        Iterate through which the plane passes; −1 for the last, as in the literature. By default the mean, which gives
        the plane nearest to all iterates.

    Returns
    -------
    Plane
        Orthonormal directions, so coordinates are distances in parameter space.

    Raises
    ------
    InputError
        If the iterates span fewer dimensions, or hold NaN.

    References
    ----------
    E. Lorch, Visualizing deep network training trajectories with PCA, 2016; H. Li et al. 2018.

    Examples
    --------
    >>> run = Trajectory.of(np.array([[0.0, 0, 1], [3, 0, 1], [0, 1, 1], [3, 1, 1]]))
    >>> abs(principal_plane(run).directions).round(6).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    space = RowSpace(n_components=check_count("n_components", n_components)).fit(trajectory.iterates)
    point = space.mean_ if origin is None else np.asarray(trajectory.iterates[origin])
    return Plane(point, space.components_, "principal plane")
