"""Any embedding with any lift."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.validation import check_is_fitted, validate_data

from trajmap._validation import Array
from trajmap.reduction._checks import check_inverse
from trajmap.reduction.lifts import BarycentricLift, Lift
from trajmap.reduction.state import Stateful, settle

__all__ = ["Lifted"]


class Lifted(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, Stateful):
    """An embedding whose inverse is a lift fitted to its coordinates.

    Parameters
    ----------
    embedding : estimator
        An estimator with ``fit`` and ``transform``; its own inverse is not used.
    lift : Lift, optional
        `BarycentricLift` by default.
    residual : bool
        Add the residuals of the nearest embedded points to a lifted point (their mean, weighted by inverse distance).
        The lift of an embedded point is then the point itself.

    Attributes
    ----------
    embedding_ : estimator
        The fitted embedding.
    lift_ : Lift
        The fitted lift.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> X = np.random.default_rng(0).normal(size=(30, 4))
    >>> chart = Lifted(PCA(2), residual=True).fit(X)
    >>> bool(np.allclose(chart.inverse_transform(chart.transform(X)), X))
    True
    """

    _kept = ("embedding_", "lift_", "n_components_", "n_features_in_", "_Z", "_missed")

    def __init__(self, embedding: Any, lift: Lift | None = None, *, residual: bool = False) -> None:
        self.embedding = embedding
        self.lift = lift
        self.residual = residual

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the embedding, then the lift.

        Parameters
        ----------
        X : array-like, shape (n, r)
            The points.
        y : None
            Ignored.

        Returns
        -------
        Lifted
            The fitted estimator.
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self.embedding_ = clone(self.embedding).fit(X)
        Z = np.asarray(self.embedding_.transform(X), dtype=np.float64)
        self.lift_ = (BarycentricLift() if self.lift is None else clone(self.lift)).fit(Z, X)
        self.n_components_ = Z.shape[1]
        self._Z = Z
        self._missed: Array | None = X - self.lift_.predict(Z) if self.residual else None
        settle(self)
        return self

    def _rebuild(self, points: Any) -> None:
        self._left: KNeighborsRegressor | None = None
        if self._missed is not None:
            nearest = KNeighborsRegressor(min(8, len(self._Z)), weights="distance", algorithm="kd_tree")
            self._left = nearest.fit(self._Z, self._missed)

    def transform(self, X: Any) -> Array:
        """Coordinates of points, by the embedding, shape (m, d)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return np.asarray(self.embedding_.transform(X), dtype=np.float64)

    def inverse_transform(self, Z: Any) -> Array:
        """Points at coordinates, by the lift, shape (m, r)."""
        check_is_fitted(self)
        Z = check_inverse(Z, self.n_components_)
        lifted = self.lift_.predict(Z)
        return lifted if self._left is None else lifted + self._left.predict(Z)

    def uncertainty(self, Z: Any) -> Array:
        """Estimate the distance of lifted points from the run's own points there, by the lift, shape (m,)."""
        check_is_fitted(self)
        return self.lift_.uncertainty(check_inverse(Z, self.n_components_))

    @property
    def name(self) -> str:
        """The embedding's name."""
        return type(self.embedding).__name__

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)
