"""UMAP of a trajectory, with a seed and a lift that stays near the data."""

import warnings
from typing import Any

import numpy as np

from trajmap._validation import Array, check_count, check_positive
from trajmap.reduction._base import Embedding
from trajmap.reduction.lifting import fit_barycentric_lift

__all__ = ["UMAP"]


class UMAP(Embedding):
    """Uniform manifold approximation and projection, by umap-learn.

    Use the whole row space, because truncation changes the neighbour graph. umap-learn's own inverse is not used: it
    takes seconds for a hundred points, depends on the batch of its call, and has a larger error than the nearest
    iterate. Nor is its own placement of new points, which depends on the batch as well: a new point gets the mean
    coordinates of its nearest fitted neighbours, weighted by inverse distance. In the picture, distances are hardly
    meaningful; the order of neighbours is.

    Parameters
    ----------
    n_components : int
        d, the number of coordinates.
    n_neighbors : int
        Size of the neighbourhoods, ≥ 2; at most n − 1 is used.
    min_dist : float
        Smallest distance of embedded points, ≥ 0.
    random_state : int
        Seed; equal seeds give equal fits.
    lift_neighbors : int
        Neighbours of the lift, the mean of the nearest embedded points; see `fit_barycentric_lift`.

    Attributes
    ----------
    embedding_ : numpy.ndarray, shape (n, d)
        Coordinates of the fitted points.

    References
    ----------
    L. McInnes, J. Healy, J. Melville, UMAP, arXiv 1802.03426.
    """

    word, slow = "umap", True
    _kept = ("_X", "embedding_")

    def __init__(
        self,
        n_components: int = 2,
        *,
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        random_state: int = 0,
        lift_neighbors: int = 8,
    ) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.min_dist = min_dist
        self.random_state = random_state
        self.lift_neighbors = lift_neighbors

    def _check_parameters(self, X: Array) -> None:
        check_count("n_neighbors", self.n_neighbors, low=2)
        check_positive("min_dist", self.min_dist, zero=True)
        check_count("random_state", self.random_state, low=0, high=2**32 - 1)

    def _fit(self, X: Array, d: int) -> Array:
        with _quiet():
            import umap

            made = umap.UMAP(
                n_components=d,
                n_neighbors=min(self.n_neighbors, len(X) - 1),
                min_dist=self.min_dist,
                random_state=self.random_state,
                init=_start(X, d),
            ).fit(X)
        self._X = X
        self.embedding_ = np.asarray(made.embedding_, dtype=np.float64)
        return self.embedding_

    def _rebuild(self, points: Any) -> None:
        self._neighbours = fit_barycentric_lift(self.embedding_, self._X, n_neighbors=self.lift_neighbors)
        self._places = fit_barycentric_lift(self._X, self.embedding_, n_neighbors=self.n_neighbors)

    def _restrict(self, X: Array) -> Array:
        """Fitted points keep their coordinates; others are placed among their nearest fitted neighbours."""
        placed: Array = self._places.predict(X)
        return placed

    def _lift(self, Z: Array) -> Array:
        return self._neighbours.predict(Z)

    def _spread(self, Z: Array) -> Array:
        return np.zeros(len(Z))


def _start(X: Array, d: int) -> str:
    """Choose the initial coordinates."""
    if len(X) <= 10 * d:  # the spectral start fails on very few points
        return "random"
    # a graph of repeated points has few distinct eigenvalues, and SciPy draws its eigenvectors without a seed
    return "spectral" if len(np.unique(X, axis=0)) == len(X) else "pca"


def _quiet() -> warnings.catch_warnings:
    """Suppress umap-learn's warnings about options that are set on purpose."""
    return warnings.catch_warnings(action="ignore")
