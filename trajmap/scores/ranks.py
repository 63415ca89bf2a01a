"""Neighbour ranks of points, computed once and shared by the neighbourhood scores."""

import numpy as np
from scipy.spatial.distance import cdist

from trajmap._validation import Array, check_count, worded
from trajmap.data.reduction import Reduction
from trajmap.errors import InputError

__all__ = ["check_neighbours", "neighbour_ranks"]


def neighbour_ranks(X: Array) -> Array:
    """Rank of every point among the neighbours of every other.

    Parameters
    ----------
    X : numpy.ndarray, shape (n, r)
        The points.

    Returns
    -------
    numpy.ndarray of int, shape (n, n)
        Entry (i, j) is 1 for the nearest neighbour of i, n − 1 for the farthest, 0 for i itself. Equal
        distances are ranked by index.

    Examples
    --------
    >>> neighbour_ranks(np.array([[0.0], [1.0], [3.0]])).tolist()
    [[0, 1, 2], [1, 0, 2], [2, 1, 0]]
    """
    n = len(X)
    distances = cdist(X, X)
    # a point is its own nearest neighbour even among duplicates
    np.fill_diagonal(distances, -1)
    order = distances.argsort(axis=1, kind="stable")
    ranks = np.empty((n, n), dtype=np.int64)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(n), (n, n)), axis=1)
    return ranks


def check_neighbours(reduction: Reduction, n_neighbors: int) -> int:
    """Check that k neighbours make sense, k < n/2, and that the points are finite."""
    n = len(reduction.X)
    k = check_count("n_neighbors", n_neighbors)
    if not k < n / 2:
        raise InputError(worded("n_neighbors", f"less than half of the {n} points", k))
    for name, points in (("X", reduction.X), ("Z", reduction.Z)):
        if not np.isfinite(points).all():
            raise InputError(worded(name, "finite numbers", "NaN or inf"))
    return k
