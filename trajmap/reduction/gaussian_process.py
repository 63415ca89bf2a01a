"""A lift with a predictive standard deviation: Gaussian process regression, by scikit-learn."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from trajmap._validation import Array, check_positive
from trajmap.reduction.lifts import Lift, LinearTrend

__all__ = ["GaussianProcessLift"]

# number of directions of the points to which the common width is fitted
_LEADING = 8


class GaussianProcessLift(Lift):
    """Gaussian process about the linear trend, on standardised coordinates, with a predictive standard deviation.

    One width is used for all directions of the points; it is fitted to the leading ones. Far from the embedded points
    the lift returns to the linear trend, and the deviation becomes large.

    Parameters
    ----------
    length_scale : float
        Initial width of the fit, in standardised coordinates.
    n_restarts : int
        Number of further starts of that fit.
    random_state : int
        Seed of the starts.

    Examples
    --------
    >>> Z = np.linspace(0, 3, 15)[:, None]
    >>> lift = GaussianProcessLift().fit(Z, np.hstack([Z, np.sin(Z)]))
    >>> near, far = lift.uncertainty([[1.6], [9.0]])
    >>> bool(near < 0.01 and far > 0.1)
    True
    """

    _kept = ("_trend", "_basis", "_unit", "_places", "_scores", "_theta", "_alpha", "_factor")

    def __init__(self, *, length_scale: float = 1.0, n_restarts: int = 0, random_state: int = 0) -> None:
        self.length_scale = length_scale
        self.n_restarts = n_restarts
        self.random_state = random_state

    def _fit(self, Z: Array, X: Array) -> None:
        self._trend = LinearTrend(Z, X)
        left, values, basis = np.linalg.svd(X - self._trend(Z), full_matrices=False)
        keep = max(1, int(np.sum(values > 1e-9 * values[0]))) if values[0] > 0 else 1
        self._basis, self._unit = basis[:keep], float(values[0]) / np.sqrt(len(X)) or 1.0
        scores, places = left[:, :keep] * values[:keep] / self._unit, self._trend.scaled(Z)
        kernel = ConstantKernel(1.0, (1e-4, 1e3)) * RBF(check_positive("length_scale", self.length_scale), (1e-2, 1e2))
        kernel += WhiteKernel(1e-5, (1e-10, 1e-1))
        search = GaussianProcessRegressor(kernel, n_restarts_optimizer=self.n_restarts, random_state=self.random_state)
        with warnings.catch_warnings(action="ignore"):  # a width at its bound is not an error
            search.fit(places, scores[:, :_LEADING])
            model = GaussianProcessRegressor(clone(search.kernel_), optimizer=None).fit(places, scores)
        self._places, self._scores, self._theta = places, scores, model.kernel_.theta
        self._alpha, self._factor = model.alpha_, model.L_

    def _rebuild(self, points: Any) -> None:
        kernel = ConstantKernel() * RBF() + WhiteKernel()
        self._model = GaussianProcessRegressor(kernel.clone_with_theta(self._theta), optimizer=None)
        # the factor of the kernel matrix is kept: a new one would differ in its last bits
        self._model.fit(self._places[:1], self._scores[:1])
        self._model.X_train_, self._model.y_train_ = self._places, self._scores
        self._model.alpha_, self._model.L_ = self._alpha, self._factor
        self._model._y_train_mean, self._model._y_train_std = (
            np.zeros(self._scores.shape[1]),
            np.ones(self._scores.shape[1]),
        )

    def _predict(self, Z: Array) -> Array:
        scores = np.asarray(self._model.predict(self._trend.scaled(Z))).reshape(len(Z), -1)
        return self._trend(Z) + self._unit * scores @ self._basis

    def _uncertainty(self, Z: Array) -> Array:
        _, deviation = self._model.predict(self._trend.scaled(Z), return_std=True)
        return self._unit * np.linalg.norm(deviation.reshape(len(Z), -1), axis=1)
