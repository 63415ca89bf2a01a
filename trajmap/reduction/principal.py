"""Principal components about a chosen centre, as in the literature on trajectories."""

from typing import Any

import numpy as np

from trajmap._validation import Array, check_choice
from trajmap.reduction._base import Embedding
from trajmap.reduction._checks import check_dimension, fix_signs

__all__ = ["PrincipalComponents"]


class PrincipalComponents(Embedding):
    """PCA whose plane passes through the mean, the first or the last point.

    With the mean it equals scikit-learn's `PCA`. Li et al. subtract the last iterate, so that their plane passes
    through the minimiser, which is its origin. The directions then also contain the offset of the mean, and their
    explained share refers to the squared distance from the centre, not to the variance.

    Parameters
    ----------
    n_components : int
        d, the number of coordinates.
    center : str
        ``"mean"``, ``"first"`` or ``"last"`` point.

    Attributes
    ----------
    center_ : numpy.ndarray, shape (r,)
        The centre, at coordinates zero.
    components_ : numpy.ndarray, shape (d, r)
        Orthonormal directions.
    explained_ratio_ : numpy.ndarray, shape (d,)
        Shares in [0, 1] of the points' summed squared distance from the centre.

    References
    ----------
    H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, Visualizing the loss landscape of neural nets, 2018.

    Examples
    --------
    >>> X = np.array([[0.0, 0], [1, 1], [2, 0], [3, 1]])
    >>> PrincipalComponents(1, center="last").fit(X).transform(X)[-1].tolist()
    [0.0]
    """

    _kept = ("center_", "components_", "explained_ratio_")

    def __init__(self, n_components: int = 2, *, center: str = "mean") -> None:
        self.n_components = n_components
        self.center = center

    def _check_parameters(self, X: Array) -> None:
        check_choice("center", self.center, ("mean", "first", "last"))
        check_dimension(self.n_components, X)

    def _fit(self, X: Array, d: int) -> Array:
        self.center_ = {"mean": X.mean(axis=0), "first": X[0].copy(), "last": X[-1].copy()}[self.center]
        left, values, basis = np.linalg.svd(X - self.center_, full_matrices=False)
        self.components_ = basis[:d] * fix_signs(left[:, :d])[:, None]
        total = float(np.sum(values**2))
        self.explained_ratio_ = values[:d] ** 2 / total if total > 0 else np.full(d, np.nan)
        return self._restrict(X)

    def _rebuild(self, points: Any) -> None:
        """Nothing follows: the fit is arrays only."""

    def _restrict(self, X: Array) -> Array:
        return (X - self.center_) @ self.components_.T

    def _lift(self, Z: Array) -> Array:
        return self.center_ + Z @ self.components_

    def _spread(self, Z: Array) -> Array:
        return np.zeros(len(Z))
