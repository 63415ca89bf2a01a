"""Uncertainty of a lift, estimated from distances only."""

from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from trajmap._validation import Array
from trajmap.reduction.state import Stateful, settle

__all__ = ["Stretch"]


class Stretch(Stateful):
    """Estimate the distance of a point at given coordinates from the nearest embedded point, in units of X.

    The distance in coordinates to the nearest embedded point, times the local ratio of distances between points
    and between coordinates (the median over the nearest neighbours of that point).

    Parameters
    ----------
    Z : numpy.ndarray, shape (n, d)
        Embedding coordinates.
    X : numpy.ndarray, shape (n, r)
        The points.
    n_neighbors : int
        Neighbours for the local ratio.

    Examples
    --------
    >>> line = np.arange(10.0)[:, None]
    >>> Stretch(line, 3 * line)(np.array([[4.0], [11.0]])).tolist()
    [0.0, 6.0]
    """

    _kept = ("_Z", "_ratio")

    def __init__(self, Z: Array, X: Array, *, n_neighbors: int = 8) -> None:
        k = min(n_neighbors, len(Z) - 1)
        self._Z = Z
        distances, places = NearestNeighbors(n_neighbors=k + 1, algorithm="kd_tree").fit(Z).kneighbors(Z)
        apart = np.linalg.norm(X[places] - X[:, None], axis=2)
        ratios = np.divide(apart, distances, out=np.full_like(apart, np.nan), where=distances > 0)
        known = np.isfinite(ratios).any(axis=1)
        self._ratio = np.full(len(Z), np.inf)
        self._ratio[known] = np.nanmedian(ratios[known], axis=1)
        settle(self)

    def _rebuild(self, points: Any) -> None:
        self._near = NearestNeighbors(n_neighbors=1, algorithm="kd_tree").fit(self._Z)

    def __call__(self, Z: Array) -> Array:
        """Uncertainty at coordinates, shape (m,); NaN coordinates give NaN."""
        out = np.full(len(Z), np.nan)
        good = np.isfinite(Z).all(axis=1)
        if good.any():
            distance, place = self._near.kneighbors(Z[good])
            ratio = self._ratio[place[:, 0]]
            out[good] = np.where(distance[:, 0] > 0, distance[:, 0] * ratio, 0.0)
        return out
