"""A lift with a predictive deviation: Gaussian process regression, by scikit-learn."""

import warnings

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from trajmap._validation import Array, check_positive
from trajmap.reduction.lifts import Lift

__all__ = ["GaussianProcessLift"]


class GaussianProcessLift(Lift):
    """Gaussian process on standardised coordinates, one width for all outputs, with its own predictive deviation.

    Parameters
    ----------
    length_scale : float
        Where the fit of the width starts, in standardised coordinates.
    n_restarts : int
        Further starts of that fit.
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

    def __init__(self, *, length_scale: float = 1.0, n_restarts: int = 0, random_state: int = 0) -> None:
        self.length_scale = length_scale
        self.n_restarts = n_restarts
        self.random_state = random_state

    def _fit(self, Z: Array, X: Array) -> None:
        self._centre, self._scale = Z.mean(axis=0), np.where(Z.std(axis=0) > 0, Z.std(axis=0), 1.0)
        self._mean = X.mean(axis=0)
        # the directions of most variance carry the fit; they share the kernel, so no more are needed for it
        left, values, basis = np.linalg.svd(X - self._mean, full_matrices=False)
        keep = max(1, int(np.sum(values > 1e-6 * values[0]))) if values[0] > 0 else 1
        self._basis, self._unit = basis[:keep], float(values[0]) / np.sqrt(len(X)) or 1.0
        kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(check_positive("length_scale", self.length_scale), (1e-2, 1e2))
        kernel += WhiteKernel(1e-5, (1e-10, 1e-1))
        model = GaussianProcessRegressor(kernel, n_restarts_optimizer=self.n_restarts, random_state=self.random_state)
        with warnings.catch_warnings(action="ignore"):  # a width at its bound is no failure
            self._model = model.fit((Z - self._centre) / self._scale, left[:, :keep] * values[:keep] / self._unit)

    def _predict(self, Z: Array) -> Array:
        scores = np.asarray(self._model.predict((Z - self._centre) / self._scale)).reshape(len(Z), -1)
        lifted: Array = self._mean + self._unit * scores @ self._basis
        return lifted

    def _uncertainty(self, Z: Array) -> Array:
        _, deviation = self._model.predict((Z - self._centre) / self._scale, return_std=True)
        total: Array = self._unit * np.linalg.norm(deviation.reshape(len(Z), -1), axis=1)
        return total
