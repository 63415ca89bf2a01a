"""UMAP of a trajectory, seeded, with a lift that stays near the data."""

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from trajmap._validation import Array, check_count, check_positive
from trajmap.reduction._checks import check_components, check_inverse
from trajmap.reduction.lifting import fit_barycentric_lift

__all__ = ["UMAP"]


class UMAP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Uniform manifold approximation and projection, by umap-learn.

    Keep all of the row space: a truncated one changes the neighbour graph. umap-learn's own inverse is not
    used: it takes seconds for a hundred points, depends on the batch it is called with, and lands farther from
    the truth than the nearest iterate does. Distances in the picture mean little; the order of neighbours does.

    Parameters
    ----------
    n_components : int
        d, the number of coordinates.
    n_neighbors : int
        Size of the neighbourhoods, ≥ 2; n − 1 when there are fewer points.
    min_dist : float
        Smallest distance of embedded points, ≥ 0.
    random_state : int
        Seed; two fits agree.
    lift_neighbors : int
        Neighbours of the lift `inverse_transform`.

    Attributes
    ----------
    embedding_ : numpy.ndarray, shape (n, d)
        Coordinates of the fitted points.

    References
    ----------
    L. McInnes, J. Healy, J. Melville, UMAP, arXiv 1802.03426.
    """

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

    def fit(self, X: Any, y: Any = None) -> Self:
        """Embed the points.

        Parameters
        ----------
        X : array-like, shape (n, r)
            The points.
        y : None
            Ignored.

        Returns
        -------
        UMAP
            The fitted estimator.

        Raises
        ------
        InputError
            If there are too few points for the coordinates.
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        d = check_components(self.n_components, X)
        check_count("n_neighbors", self.n_neighbors, low=2)
        check_positive("min_dist", self.min_dist, zero=True)
        check_count("random_state", self.random_state, low=0, high=2**32 - 1)
        self._fit(X, d)
        return self

    def transform(self, X: Any) -> Array:
        """Coordinates of points: the fitted ones get their own, new ones are embedded among them.

        Parameters
        ----------
        X : array-like, shape (m, r)
            Points.

        Returns
        -------
        numpy.ndarray, shape (m, d)
            Coordinates, float64. Those of new points depend on the points they are asked together with.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        if X.shape == self._X.shape and np.array_equal(X, self._X):
            return self.embedding_.copy()
        with _quiet():
            return np.asarray(self._umap.transform(X), dtype=np.float64)

    def inverse_transform(self, Z: Any) -> Array:
        """Lift coordinates by the mean of the nearest embedded points; see `fit_barycentric_lift`.

        Parameters
        ----------
        Z : array-like, shape (m, d)
            Coordinates.

        Returns
        -------
        numpy.ndarray, shape (m, r)
            Points within the convex hull of the fitted ones.
        """
        check_is_fitted(self)
        lifted: Array = self._lift.predict(check_inverse(Z, self.embedding_.shape[1]))
        return lifted

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def _fit(self, X: Array, d: int) -> None:
        with _quiet():
            import umap

            self._umap = umap.UMAP(
                n_components=d,
                n_neighbors=min(self.n_neighbors, len(X) - 1),
                min_dist=self.min_dist,
                random_state=self.random_state,
                # the spectral start fails on a handful of points
                init="spectral" if len(X) > 10 * d else "random",
            ).fit(X)
        self._X = X
        self.embedding_ = np.asarray(self._umap.embedding_, dtype=np.float64)
        self._lift = fit_barycentric_lift(self.embedding_, X, n_neighbors=self.lift_neighbors)


def _quiet() -> warnings.catch_warnings:
    """Silence umap-learn's remarks on its own defaults; ours ask for exactly that."""
    return warnings.catch_warnings(action="ignore")
