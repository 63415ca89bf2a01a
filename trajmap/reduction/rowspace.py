"""The span of the iterates: T points of R^P as T points of R^r, without changing a distance."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from trajmap._validation import Array, check_count, check_positive, worded
from trajmap.data.gram import column_blocks
from trajmap.data.iterates import Iterates
from trajmap.errors import InputError
from trajmap.reduction._checks import check_inverse, fix_signs

__all__ = ["RowSpace"]

# components up to this size are kept in memory; larger ones are streamed from the store each time
_KEEP_BYTES = 2**29


class RowSpace(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Isometric coordinates of n points in the r ≤ min(n − 1, P) dimensions they span.

    The centred Gram matrix G = X_c X_cᵀ is accumulated in one pass over column blocks, in float64, so a run on
    disk is never held whole; G = U S² Uᵀ gives the coordinates U S. They are the scores of all principal
    components, so distances, PCA, neighbour ranks, diffusion maps and mean-squared errors computed on them equal
    those in R^P. Lifted points are mean + Z·components, affine combinations of the stored iterates.

    Parameters
    ----------
    n_components : int, optional
        Keep the first coordinates only; all by default.
    tol : float
        Drop directions whose singular value is below `tol` times the largest. A Gram matrix in float64 cannot
        tell values below 1.5e-8 from zero.
    block_size : int
        Columns a block: a pass holds n·block_size numbers.

    Attributes
    ----------
    mean_ : numpy.ndarray, shape (P,)
        Mean of the points.
    singular_values_ : numpy.ndarray, shape (r,)
        Singular values of the centred points, descending.
    explained_variance_ratio_ : numpy.ndarray, shape (r,)
        Shares of the total variance; not evidence of low dimension without their null.
    n_components_ : int
        r.
    n_features_in_ : int
        P.

    References
    ----------
    The method of snapshots: L. Sirovich, Turbulence and the dynamics of coherent structures, 1987.

    Examples
    --------
    >>> X = np.array([[0.0, 0, 0], [3, 0, 4]])
    >>> RowSpace().fit_transform(X)
    array([[ 2.5],
           [-2.5]])
    """

    def __init__(self, n_components: int | None = None, *, tol: float = 1e-7, block_size: int = 4096) -> None:
        self.n_components = n_components
        self.tol = tol
        self.block_size = block_size

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the span of the points.

        Parameters
        ----------
        X : Iterates or array-like, shape (n, P)
            The points, one a row; a run's lazy iterates are streamed.
        y : None
            Ignored.

        Returns
        -------
        RowSpace
            The fitted estimator.

        Raises
        ------
        InputError
            If a point holds NaN or inf (the message names the rows), all points agree, or more coordinates are
            asked for than the points span.
        """
        check_positive("tol", self.tol, zero=True)
        check_count("block_size", self.block_size)
        self._fit(self._check(X, reset=True))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Fit and return the coordinates of the points, shape (n, r), without a second pass."""
        self.fit(X)
        coordinates: Array = self._left * self.singular_values_
        return coordinates

    def transform(self, X: Any) -> Array:
        """Coordinates of points of R^P: their projection on the span.

        Parameters
        ----------
        X : Iterates or array-like, shape (m, P)
            The points.

        Returns
        -------
        numpy.ndarray, shape (m, r)
            Coordinates, float64.
        """
        check_is_fitted(self)
        X = self._check(X, reset=False)
        Z = np.zeros((X.shape[0], self.n_components_))
        bad = np.zeros(X.shape[0], dtype=bool)
        for columns in self._blocks():
            block = _finite_block(X, columns, bad)
            Z += (block - self.mean_[columns]) @ self._components(columns).T
        _require_finite(bad)
        return Z

    def inverse_transform(self, Z: Any) -> Array:
        """Lift coordinates back to R^P.

        Parameters
        ----------
        Z : array-like, shape (m, r)
            Coordinates.

        Returns
        -------
        numpy.ndarray, shape (m, P)
            Points, float64.
        """
        check_is_fitted(self)
        Z = check_inverse(Z, self.n_components_)
        out = np.empty((len(Z), self.n_features_in_))
        for columns in self._blocks():
            out[:, columns] = self.mean_[columns] + Z @ self._components(columns)
        return out

    @property
    def components_(self) -> Array:
        """Orthonormal basis of the span, shape (r, P); made anew on each access when it is too large to keep."""
        check_is_fitted(self)
        return np.concatenate([self._components(columns) for columns in self._blocks()], axis=1)

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def _check(self, X: Any, *, reset: bool) -> Any:
        if not isinstance(X, Iterates):
            # NaN is left to the pass over the blocks, which names the rows
            smallest = 2 if reset else 1
            return validate_data(
                self,
                X,
                reset=reset,
                dtype=[np.float64, np.float32],
                ensure_min_samples=smallest,
                ensure_all_finite=False,
            )
        if reset:
            self.n_features_in_ = X.shape[1]
        elif X.shape[1] != self.n_features_in_:
            raise InputError(worded("X", f"{self.n_features_in_} columns", f"{X.shape[1]}"))
        return X

    def _blocks(self) -> Iterator[slice]:
        return column_blocks(self.n_features_in_, self.block_size)

    def _fit(self, X: Any) -> None:
        n = X.shape[0]
        gram, self.mean_, bad = np.zeros((n, n)), np.empty(self.n_features_in_), np.zeros(n, dtype=bool)
        for columns in self._blocks():
            block = _finite_block(X, columns, bad)
            self.mean_[columns] = block.mean(axis=0)
            block = block - self.mean_[columns]
            gram += block @ block.T
        _require_finite(bad)
        self._decompose(gram)
        self._source: Any = X
        self._kept: Array | None = None
        if not isinstance(X, Iterates) or self.n_components_ * self.n_features_in_ * 8 <= _KEEP_BYTES:
            self._kept = self.components_
            self._source = None

    def _decompose(self, gram: Array) -> None:
        values, vectors = np.linalg.eigh(gram)
        singular = np.sqrt(np.maximum(values[::-1], 0))
        if not singular[0]:
            raise InputError(worded("X", "points that differ", f"n_samples = {len(gram)} equal ones"))
        rank = int(np.sum(singular > max(self.tol, np.sqrt(np.finfo(float).eps)) * singular[0]))
        rank = min(rank, len(gram) - 1, self.n_features_in_)
        keep = rank if self.n_components is None else check_count("n_components", self.n_components)
        if keep > rank:
            raise InputError(
                worded("n_components", f"at most {rank}, the rank of the points (n_samples = {len(gram)}, "
                       f"n_features = {self.n_features_in_})", keep)
            )  # fmt: skip
        left = vectors[:, ::-1][:, :keep]
        self._left = left * fix_signs(left)
        self.singular_values_ = singular[:keep]
        self.explained_variance_ratio_ = singular[:keep] ** 2 / np.sum(singular**2)
        self.n_components_ = keep

    def _components(self, columns: slice) -> Array:
        """Basis vectors on some columns: S⁻¹ Uᵀ X_c."""
        if self._kept is not None:
            return self._kept[:, columns]
        block = np.asarray(self._source[:, columns], dtype=np.float64) - self.mean_[columns]
        rows: Array = (self._left / self.singular_values_).T @ block
        return rows


def _finite_block(X: Any, columns: slice, bad: Array) -> Array:
    """Read a block in float64 and mark the rows with NaN or inf, zeroed because the pass ends in an error."""
    block = np.asarray(X[:, columns], dtype=np.float64)
    broken: Array = np.logical_not(np.isfinite(block).all(axis=1))
    bad |= broken
    return np.where(broken[:, None], 0.0, block) if broken.any() else block


def _require_finite(bad: Array) -> None:
    if bad.any():
        rows = ", ".join(map(str, np.flatnonzero(bad)[:5])) + (", …" if bad.sum() > 5 else "")
        got = f"NaN or inf in {bad.sum()} of n_samples = {len(bad)} rows ({rows})"
        raise InputError(worded("X", "finite numbers", got, "trajectory.finite() leaves these iterates out"))
