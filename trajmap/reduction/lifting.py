"""Lifts: maps from embedding coordinates back to the points."""

from sklearn.neighbors import KNeighborsRegressor

from trajmap._validation import Array, check_count

__all__ = ["fit_barycentric_lift"]


def fit_barycentric_lift(Z: Array, X: Array, *, n_neighbors: int = 8) -> KNeighborsRegressor:
    """Lift by the inverse-distance-weighted mean of the nearest embedded points.

    The lift of an embedded point is the point itself; any other is a convex combination of `n_neighbors` points. Unlike
    a kernel lift it cannot diverge, and it cannot leave the convex hull of the data: beyond the embedded points it
    repeats their boundary.

    Parameters
    ----------
    Z : numpy.ndarray, shape (n, d)
        Embedding coordinates.
    X : numpy.ndarray, shape (n, r)
        The embedded points.
    n_neighbors : int
        Number of combined points, at most n.

    Returns
    -------
    sklearn.neighbors.KNeighborsRegressor
        Its ``predict`` is the lift.

    Examples
    --------
    >>> import numpy as np
    >>> lift = fit_barycentric_lift(np.array([[0.0], [1.0]]), np.array([[0.0, 0.0], [2.0, 4.0]]))
    >>> lift.predict([[0.25]])
    array([[0.5, 1. ]])
    """
    k = min(check_count("n_neighbors", n_neighbors), len(Z))
    # the tree subtracts coordinates; brute force expands the square, and a fitted point's distance is not exactly 0
    return KNeighborsRegressor(n_neighbors=k, weights="distance", algorithm="kd_tree").fit(Z, X)
