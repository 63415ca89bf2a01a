"""The span of the iterates: T points of R^P as T points of R^r, without changing a distance."""

import dataclasses
import numbers
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import scipy.linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from trajmap._validation import Array, check_count, check_positive, worded
from trajmap.data.frame import Frame
from trajmap.data.gram import centred_gram, column_blocks, require_finite, step_gram, wide_blocks
from trajmap.data.iterates import Iterates
from trajmap.errors import InputError
from trajmap.reduction._checks import check_inverse, fix_signs

__all__ = ["RowSpace"]

# components up to this size are kept in memory; larger ones are streamed from the store each time
_KEEP_BYTES = 2**29


class RowSpace(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Isometric coordinates of n points in the r ≤ min(n − 1, P) dimensions they span.

    The inner products of the steps between successive points are accumulated in one pass over column blocks,
    products in the points' number format and their sum in float64, so a run on disk is never held whole. Summed
    twice and centred they are the Gram matrix G = X_c X_cᵀ = U S² Uᵀ, which gives the coordinates U S. They are
    the scores of all principal components, so distances, PCA, neighbour ranks, diffusion maps and mean-squared
    errors computed on them equal those in R^P. Lifted points are mean + Z·components, affine combinations of the
    stored iterates. The points should be in order of time: steps are small then, and rounding is relative to them.

    Memory: 3 n² numbers in float64 and two blocks of 128 MiB, beside the basis where that is kept.

    Parameters
    ----------
    n_components : int or float, optional
        Keep the first coordinates only; all by default. Between 0 and 1, as many as hold this share of the
        variance.
    tol : float
        Drop directions whose singular value is below `tol` times the largest. A Gram matrix of n points in float64
        cannot tell values below 1.5e-8 √n from zero.
    increments : bool
        Resolve steps that are smaller than that: the steps' Gram matrix is factored at unit lengths, and the
        coordinates are sums of these factors. Costs two more decompositions of an n × n matrix.
    block_size : int
        Columns a product.
    dtype : dtype, optional
        Number format of the products, float32 or float64; by default that of the points.
    device : str, optional
        A torch device to multiply on, as ``"cuda"``.
    lift_dtype : dtype, optional
        Number format of lifted points, float64 by default; float32 is twice as fast and as exact as float32 weights.

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
    embedding_ : numpy.ndarray, shape (n, r)
        Coordinates of the fitted points.
    residuals_ : numpy.ndarray, shape (n,)
        Distances of the fitted points from the span that was kept; zeros where all of it was. They come from the Gram
        matrix: in float64 right to 1.5e-8 √n of the largest singular value (with `increments`, where all n values are
        found, to 2e-16 n), with products in float32 to about 1e-4 of it.
    distance_error_ : float
        Standard deviation of the relative error of a distance: 0 unless the points are sketches.
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

    def __init__(
        self,
        n_components: float | None = None,
        *,
        tol: float = 1e-7,
        increments: bool = False,
        block_size: int = 4096,
        dtype: Any = None,
        device: str | None = None,
        lift_dtype: Any = None,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.increments = increments
        self.block_size = block_size
        self.dtype = dtype
        self.device = device
        self.lift_dtype = lift_dtype

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
        if self.dtype is not None and np.dtype(self.dtype) not in {np.dtype(np.float32), np.dtype(np.float64)}:
            raise InputError(worded("dtype", "float32 or float64", self.dtype))
        self._fit(self._check(X, reset=True))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Fit and return the coordinates of the points, shape (n, r), without a second pass."""
        return self.fit(X).embedding_

    def transform(self, X: Any) -> Array:
        """Coordinates of points of R^P: their projection on the span.

        Iterates that the space was fitted on, all or some, are not read again: see `fitted_places`.

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
        places = self.fitted_places(X)
        if places is not None:
            return self.embedding_[places]
        Z = np.zeros((X.shape[0], self.n_components_))
        with np.errstate(invalid="ignore"):
            for columns, block in wide_blocks(X, self.block_size):
                Z += (block - self.mean_[columns]) @ self._basis[:, columns].T
        if not np.isfinite(Z).all():
            require_finite(X, self.block_size)
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
            Points, in `lift_dtype`.
        """
        check_is_fitted(self)
        Z = check_inverse(Z, self.n_components_).astype(self._basis_dtype)
        out = np.empty((len(Z), self.n_features_in_), dtype=self._basis_dtype)
        for columns in self._blocks():
            np.matmul(Z, self._basis[:, columns], out=out[:, columns])
            out[:, columns] += self.mean_[columns]
        return out

    def frame(self) -> Frame:
        """Every lifted point as origin + c·basis: the mean and the basis, which is read lazily when it is not kept.

        Returns
        -------
        Frame
            ``frame().points(coefficients(Z))`` equals ``inverse_transform(Z)``.
        """
        check_is_fitted(self)
        return Frame(self.mean_, self._basis)

    def coefficients(self, Z: Any) -> Array:
        """Coefficients in the `frame` of the points at coordinates: the coordinates themselves.

        Parameters
        ----------
        Z : array-like, shape (m, r)
            Coordinates.

        Returns
        -------
        numpy.ndarray, shape (m, r)
            Coefficients, float64.
        """
        check_is_fitted(self)
        return check_inverse(Z, self.n_components_)

    def fitted_places(self, X: Any) -> Array | None:
        """Places among the fitted points of iterates that certainly are some of them.

        Parameters
        ----------
        X : Iterates or array-like
            A run's iterates, opened anew, thinned or reordered even.

        Returns
        -------
        numpy.ndarray of shape (m,), or None
            ``embedding_[places]`` are their coordinates and ``residuals_[places]`` their distances from the span. None
            if a row is another file, or other columns of it, and for arrays, which may have been written to.
        """
        check_is_fitted(self)
        if not isinstance(X, Iterates) or not self._places:
            return None
        places = [self._places.get(key, -1) for key in X.keys]
        return None if -1 in places else np.array(places, dtype=np.intp)

    @property
    def embedding_(self) -> Array:
        """Coordinates of the fitted points, shape (n, r)."""
        check_is_fitted(self)
        coordinates: Array = self._left * self.singular_values_
        return coordinates

    @property
    def components_(self) -> Array:
        """Orthonormal basis of the span, shape (r, P); made anew on each access when it is too large to keep."""
        check_is_fitted(self)
        return self._read_basis(np.dtype(np.float64))

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
        dtype = np.dtype(X.dtype if self.dtype is None else self.dtype)
        steps, self.mean_ = step_gram(X, width=self.block_size, dtype=dtype, multiply=_multiplier(self.device))
        self.distance_error_ = X.distance_error if isinstance(X, Iterates) else 0.0
        if self.increments:
            self._decompose_steps(steps)
        else:
            self._decompose(centred_gram(steps))
        self._basis_dtype = np.dtype(np.float64 if self.lift_dtype is None else self.lift_dtype)
        weights = (self._left / self.singular_values_).T
        self._basis: Any = _Basis(X, self.mean_, weights, self._basis_dtype)
        if self.n_components_ * self.n_features_in_ * self._basis_dtype.itemsize <= _KEEP_BYTES:
            self._basis = self._read_basis(self._basis_dtype)
        self._places = {key: i for i, key in enumerate(X.keys)} if isinstance(X, Iterates) else {}

    def _decompose(self, gram: Array) -> None:
        n, squares = len(gram), np.diag(gram).copy()
        count = isinstance(self.n_components, numbers.Integral)
        first = n - min(int(self.n_components or n), n) if count else 0
        values, vectors = scipy.linalg.eigh(
            gram, overwrite_a=True, subset_by_index=[first, n - 1] if first else None, driver="evr" if first else "evd"
        )
        singular = np.sqrt(np.maximum(values[::-1], 0))
        self._keep(singular, vectors[:, ::-1], squares, float(np.sqrt(n * np.finfo(float).eps)))

    def _decompose_steps(self, steps: Array) -> None:
        """Coordinates of the points as sums of those of the steps, each step factored at length one."""
        lengths = np.sqrt(np.diag(steps))
        units = np.where(lengths > 0, lengths, 1.0)
        values, vectors = scipy.linalg.eigh(steps / np.outer(units, units), overwrite_a=True, driver="evd")
        factors = vectors * np.sqrt(np.maximum(values, 0)) * lengths[:, None]
        points = np.cumsum(factors, axis=0)
        points -= points.mean(axis=0)
        left, singular, _ = scipy.linalg.svd(points, full_matrices=False)
        self._keep(singular, left, np.sum(points**2, axis=1), len(steps) * np.finfo(float).eps)

    def _keep(self, singular: Array, left: Array, squares: Array, floor: float) -> None:
        """Keep what is above rounding and asked for; the rest is what the points have off the span."""
        n, total = len(left), float(squares.sum())
        if not singular[0] > 0:
            raise InputError(worded("X", "points that differ", f"n_samples = {n} equal ones"))
        tol = self.tol if not self.increments else min(self.tol, floor)
        rank = min(int(np.sum(singular > max(tol, floor) * singular[0])), n - 1, self.n_features_in_)
        keep = self._asked(singular**2 / total, rank, n)
        self._left = left[:, :keep] * fix_signs(left[:, :keep])
        self.singular_values_ = singular[:keep]
        self.explained_variance_ratio_ = singular[:keep] ** 2 / total
        self.n_components_ = keep
        self.residuals_ = self._residuals(singular, left, squares, floor)

    def _residuals(self, singular: Array, left: Array, squares: Array, floor: float) -> Array:
        """Distances of the points from the span that was kept; those that rounding alone makes are 0."""
        if len(singular) == len(left):
            found = np.linalg.norm(left[:, self.n_components_ :] * singular[self.n_components_ :], axis=1)
        else:
            found = np.sqrt(np.maximum(squares - np.sum(self.embedding_**2, axis=1), 0))
        return found if found.max() > floor * singular[0] else np.zeros(len(found))

    def _asked(self, ratios: Array, rank: int, n: int) -> int:
        if self.n_components is None:
            return rank
        if isinstance(self.n_components, float) and 0 < self.n_components < 1:
            return min(int(np.searchsorted(np.cumsum(ratios), self.n_components)) + 1, rank)
        keep = check_count("n_components", self.n_components)
        if keep > rank:
            spanned = f"the rank of the points (n_samples = {n}, n_features = {self.n_features_in_})"
            raise InputError(worded("n_components", f"at most {rank}, {spanned}", keep))
        return keep

    def _read_basis(self, dtype: Any) -> Array:
        basis = np.empty((self.n_components_, self.n_features_in_), dtype)
        for columns in self._blocks():
            basis[:, columns] = self._basis[:, columns]
        return basis


@dataclasses.dataclass(frozen=True, eq=False)
class _Basis:
    """Basis vectors S⁻¹ Uᵀ X_c, made of the points whenever columns are asked for."""

    points: Any
    mean: Array
    weights: Array  # S⁻¹ Uᵀ, (r, n)
    dtype: Any

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.weights), len(self.mean)

    def __getitem__(self, key: tuple[Any, slice]) -> Array:
        rows, columns = key
        block = np.asarray(self.points[:, columns], dtype=np.float64) - self.mean[columns]
        basis: Array = self.weights[rows] @ block
        return basis.astype(self.dtype, copy=False)

    def combined(self, weights: Array, dtype: Any) -> "_Basis":
        """Combine the rows, by combining what makes them: (k, r) → k rows."""
        return _Basis(self.points, self.mean, weights @ self.weights, dtype)


def _multiplier(device: str | None) -> Callable[[Array], Array]:
    """Multiply here, or by torch on a device."""
    if device is None:
        return lambda steps: steps @ steps.T
    import torch

    def multiply(steps: Array) -> Array:
        moved = torch.from_numpy(np.ascontiguousarray(steps)).to(device)
        product: Array = (moved @ moved.T).cpu().numpy()
        return product

    return multiply
