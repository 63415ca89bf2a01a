"""The lifts: maps from embedding coordinates back to points, each with an uncertainty.

A lift is fitted to an embedding's coordinates and its points, so any lift can be combined with any embedding: see
`Lifted`. Choose a lift by its error on held-out blocks of a run, not by a picture.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from scipy.interpolate import RBFInterpolator
from sklearn.base import BaseEstimator
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.utils.validation import check_is_fitted

from trajmap._validation import Array, check_array, check_positive, worded
from trajmap.errors import InputError
from trajmap.reduction._stretch import Stretch
from trajmap.reduction.lifting import fit_barycentric_lift
from trajmap.reduction.state import Stateful, settle

__all__ = [
    "BarycentricLift",
    "KernelRidgeLift",
    "Lift",
    "LinearLift",
    "ThinPlateLift",
]


class Lift(BaseEstimator, Stateful, ABC):
    """A map from coordinates Z to points X; a subclass implements the hooks; ``_kept`` names what its fit found."""

    _kept: ClassVar[tuple[str, ...]] = ("n_coordinates_", "_stretch")

    def fit(self, Z: Any, X: Any) -> Self:
        """Fit the lift.

        Parameters
        ----------
        Z : array-like, shape (n, d)
            Embedding coordinates.
        X : array-like, shape (n, r)
            The embedded points.

        Returns
        -------
        Self
            The fitted lift.

        Raises
        ------
        InputError
            If there are fewer than two points, or a number is not finite.
        """
        Z = check_array("Z", Z, (None, None), dtype=np.float64)
        X = check_array("X", X, (len(Z), None), dtype=np.float64)
        if len(Z) < 2 or not (np.isfinite(Z).all() and np.isfinite(X).all()):
            raise InputError(worded("Z", "at least 2 finite points", f"{len(Z)} points, with NaN or inf in Z or X"))
        self.n_coordinates_ = Z.shape[1]
        self._stretch = Stretch(Z, X)
        self._fit(Z, X)
        settle(self)
        return self

    def predict(self, Z: Any) -> Array:
        """Points at coordinates, shape (m, r)."""
        return self._predict(self._checked(Z))

    def uncertainty(self, Z: Any) -> Array:
        """Estimate the distance of a lifted point from the run's own point there, in units of X, shape (m,)."""
        return self._uncertainty(self._checked(Z))

    def _checked(self, Z: Any) -> Array:
        check_is_fitted(self)
        return check_array("Z", Z, (None, self.n_coordinates_), dtype=np.float64)

    @abstractmethod
    def _fit(self, Z: Array, X: Array) -> None:
        """Fit to checked arrays."""

    @abstractmethod
    def _predict(self, Z: Array) -> Array:
        """Lift checked coordinates."""

    @abstractmethod
    def _uncertainty(self, Z: Array) -> Array:
        """Uncertainty of points at checked coordinates; `_stretch(Z)` for a lift without its own estimate."""


class LinearLift(Lift):
    """Least-squares affine map: for PCA its own inverse, for other embeddings a plane through the points.

    Examples
    --------
    >>> Z = np.arange(5.0)[:, None]
    >>> LinearLift().fit(Z, np.hstack([Z, 2 * Z + 1])).predict([[10.0]]).round(9).tolist()
    [[10.0, 21.0]]
    """

    _kept = ("_model",)

    def _fit(self, Z: Array, X: Array) -> None:
        self._model = LinearRegression().fit(Z, X)

    def _rebuild(self, points: Any) -> None:
        """Nothing follows: the fit is arrays only."""

    def _predict(self, Z: Array) -> Array:
        return self._model.predict(Z)

    def _uncertainty(self, Z: Array) -> Array:
        return self._stretch(Z)


class BarycentricLift(Lift):
    """Inverse-distance-weighted mean of the nearest embedded points; see `fit_barycentric_lift`.

    Parameters
    ----------
    n_neighbors : int
        Number of combined points.

    Examples
    --------
    >>> lift = BarycentricLift(n_neighbors=2).fit([[0.0], [1.0]], [[0.0, 0.0], [2.0, 4.0]])
    >>> lift.predict([[0.25]]).tolist()
    [[0.5, 1.0]]
    """

    _kept = ("_Z", "_X")

    def __init__(self, *, n_neighbors: int = 8) -> None:
        self.n_neighbors = n_neighbors

    def _fit(self, Z: Array, X: Array) -> None:
        self._Z, self._X = Z, X

    def _rebuild(self, points: Any) -> None:
        self._model = fit_barycentric_lift(self._Z, self._X, n_neighbors=self.n_neighbors)

    def _predict(self, Z: Array) -> Array:
        return self._model.predict(Z)

    def _uncertainty(self, Z: Array) -> Array:
        return self._stretch(Z)


class ThinPlateLift(Lift):
    """Thin-plate spline through the points, by SciPy; smooth, and linear far away, where its error may be large.

    Parameters
    ----------
    smoothing : float
        0 passes through every point.
    n_neighbors : int, optional
        Number of points used at each place; all by default.

    Examples
    --------
    >>> Z = np.linspace(0, 3, 20)[:, None]
    >>> lift = ThinPlateLift().fit(Z, np.hstack([Z, np.sin(Z)]))
    >>> bool(abs(lift.predict([[1.6]])[0, 1] - np.sin(1.6)) < 1e-3)
    True
    """

    _kept = ("_Z", "_X")

    def __init__(self, *, smoothing: float = 0.0, n_neighbors: int | None = None) -> None:
        self.smoothing = smoothing
        self.n_neighbors = n_neighbors

    def _fit(self, Z: Array, X: Array) -> None:
        check_positive("smoothing", self.smoothing, zero=True)
        if len(Z) < Z.shape[1] + 2:
            raise InputError(worded("Z", f"at least {Z.shape[1] + 2} points in {Z.shape[1]} coordinates", f"{len(Z)}"))
        kept, places = np.unique(Z, axis=0, return_index=True)  # a spline cannot pass through two values at one place
        self._Z, self._X = kept, X[places]

    def _rebuild(self, points: Any) -> None:
        self._model = RBFInterpolator(
            self._Z, self._X, smoothing=self.smoothing, neighbors=self.n_neighbors, kernel="thin_plate_spline"
        )

    def _predict(self, Z: Array) -> Array:
        return self._model(Z)

    def _uncertainty(self, Z: Array) -> Array:
        return self._stretch(Z)


class KernelRidgeLift(Lift):
    """Linear trend plus kernel ridge regression with a Gaussian kernel; far away it returns to the trend.

    Parameters
    ----------
    alpha : float
        Penalty.
    gamma : float
        1/(2 width²), in coordinates of unit variance.

    Examples
    --------
    >>> Z = np.linspace(0, 3, 20)[:, None]
    >>> lift = KernelRidgeLift().fit(Z, np.hstack([Z, np.sin(Z)]))
    >>> bool(abs(lift.predict([[1.6]])[0, 1] - np.sin(1.6)) < 0.02)
    True
    """

    _kept = ("_trend", "_model")

    def __init__(self, *, alpha: float = 1e-3, gamma: float = 1.0) -> None:
        self.alpha = alpha
        self.gamma = gamma

    def _fit(self, Z: Array, X: Array) -> None:
        self._trend = LinearTrend(Z, X)
        model = KernelRidge(
            alpha=check_positive("alpha", self.alpha), gamma=check_positive("gamma", self.gamma), kernel="rbf"
        )
        self._model = model.fit(self._trend.scaled(Z), X - self._trend(Z))

    def _rebuild(self, points: Any) -> None:
        """Nothing follows: the fit is arrays only."""

    def _predict(self, Z: Array) -> Array:
        return self._trend(Z) + self._model.predict(self._trend.scaled(Z))

    def _uncertainty(self, Z: Array) -> Array:
        return self._stretch(Z)


class LinearTrend(Stateful):
    """Least-squares affine map, and coordinates of unit variance, common to lifts with a linear trend."""

    _kept = ("_centre", "_scale", "_model")

    def __init__(self, Z: Array, X: Array) -> None:
        self._centre, deviation = Z.mean(axis=0), Z.std(axis=0)
        self._scale = np.where(deviation > 0, deviation, 1.0)
        self._model = LinearRegression().fit(self.scaled(Z), X)

    def _rebuild(self, points: Any) -> None:
        """Nothing follows: the fit is arrays only."""

    def __call__(self, Z: Array) -> Array:
        return self._model.predict(self.scaled(Z))

    def scaled(self, Z: Array) -> Array:
        """Coordinates of unit variance."""
        return (Z - self._centre) / self._scale
