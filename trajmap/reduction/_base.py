"""Base of the embeddings: public methods check their arguments, private hooks do the mathematics."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from trajmap._validation import Array
from trajmap.reduction._checks import check_components, check_inverse
from trajmap.reduction._stretch import Stretch
from trajmap.reduction.state import Stateful, settle

__all__ = ["Embedding"]


class Embedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, Stateful, ABC):
    """An embedding of n points of R^r in d coordinates, with a lift back.

    A subclass stores its parameters in ``__init__``, names in ``_kept`` what its fit found, and implements the hooks;
    what it needs besides is made in ``_rebuild``, which ends a fit and the loading of a kept chart alike.
    """

    _kept: ClassVar[tuple[str, ...]] = ("n_components_", "n_features_in_", "_stretch")

    word: ClassVar[str] = ""
    """What the command line calls it; empty for one that is not offered there."""
    extra: ClassVar[bool] = False
    """Whether it needs a package that is installed on request only."""
    slow: ClassVar[bool] = False
    """Whether a fit takes seconds, so that few are made where many are asked for."""
    n_components: int

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the embedding.

        Parameters
        ----------
        X : array-like, shape (n, r)
            The points, usually row-space coordinates of a run.
        y : None
            Ignored.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        InputError
            If a parameter is out of range, or the points are unsuitable for the embedding.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Fit, and return the coordinates of the fitted points, shape (n, d)."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self.n_components_ = check_components(self.n_components, X)
        self._check_parameters(X)
        Z = self._fit(X, self.n_components_)
        settle(self)
        self._stretch = Stretch(Z, X)
        return Z.copy()

    def transform(self, X: Any) -> Array:
        """Coordinates of points, the fitted ones or others.

        Parameters
        ----------
        X : array-like, shape (m, r)
            Points.

        Returns
        -------
        numpy.ndarray, shape (m, d)
            Coordinates, float64.
        """
        check_is_fitted(self)
        return self._restrict(validate_data(self, X, reset=False, dtype=np.float64))

    def inverse_transform(self, Z: Any) -> Array:
        """Lift coordinates back.

        Parameters
        ----------
        Z : array-like, shape (m, d)
            Coordinates.

        Returns
        -------
        numpy.ndarray, shape (m, r)
            Points; for their accuracy see the class.
        """
        check_is_fitted(self)
        return self._lift(check_inverse(Z, self.n_components_))

    def uncertainty(self, Z: Any) -> Array:
        """Estimate the distance of a lifted point from the run's own point there, in units of X.

        The estimate is the distance in coordinates to the nearest fitted point, times the local stretch of the
        embedding.

        Parameters
        ----------
        Z : array-like, shape (m, d)
            Coordinates.

        Returns
        -------
        numpy.ndarray, shape (m,)
            ≥ 0, lower is better: 0 at fitted points; `surface` masks cells where it exceeds the limit of support.
        """
        check_is_fitted(self)
        Z = check_inverse(Z, self.n_components_)
        return np.asarray(np.hypot(self._stretch(Z), self._spread(Z)))

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    @abstractmethod
    def _check_parameters(self, X: Array) -> None:
        """Raise InputError for parameters out of range."""

    @abstractmethod
    def _fit(self, X: Array, d: int) -> Array:
        """Fit d coordinates to checked points, note what was found in the attributes of ``_kept``, and return them."""

    @abstractmethod
    def _restrict(self, X: Array) -> Array:
        """Coordinates of checked points."""

    @abstractmethod
    def _lift(self, Z: Array) -> Array:
        """Points at checked coordinates."""

    @abstractmethod
    def _spread(self, Z: Array) -> Array:
        """Return the lift's own error estimate at checked coordinates, in units of X; zeros without one."""
