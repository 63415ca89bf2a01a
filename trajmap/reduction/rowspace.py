"""The span of the iterates: T points of R^P as T points of R^r, with equal distances."""

from concurrent.futures import Executor
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from trajmap._validation import Array, check_choice, check_count, check_positive, worded
from trajmap.data.frame import Frame
from trajmap.data.gram import require_finite, step_gram
from trajmap.data.store.iterates import Iterates
from trajmap.errors import InputError
from trajmap.reduction._checks import check_inverse, fix_signs
from trajmap.reduction._decomposition import decompose
from trajmap.reduction._device import multiplier
from trajmap.reduction._span import Span
from trajmap.reduction.state import Stateful, settle

__all__ = ["RowSpace"]

# components up to this size are kept in memory; larger ones are streamed from the store each time
_KEEP_BYTES = 2**29


class RowSpace(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, Stateful):
    """Isometric coordinates of n points in the r ≤ min(n − 1, P) dimensions that they span.

    The inner products of the steps between successive points are accumulated in one pass over blocks of columns
    (products in the points' dtype, their sum in float64), so a run on disk is never in memory as a whole. Summed twice
    and centred they give the Gram matrix G = X_c X_cᵀ = U S² Uᵀ, and the coordinates U S. These are the scores of all
    principal components, so distances, PCA, neighbour ranks, diffusion maps and mean squared errors computed on them
    equal those in R^P. Lifted points are mean + Z·components, affine combinations of the stored iterates. The points
    should be in time order: their steps are then small, and rounding is relative to the steps.

    A fit reads a run once. Mean and basis need a second pass, on first access or when the object is pickled;
    coordinates need neither. An array is read twice at once, because it may change later. Memory: 3 n² numbers in
    float64 and two blocks of 32 MiB, plus the basis if it is kept.

    Parameters
    ----------
    n_components : int or float, optional
        Number of kept coordinates; all by default. A number between 0 and 1 keeps enough for this share of the
        variance.
    tol : float
        Drop directions whose singular value is below `tol` times the largest, unless small steps are resolved. A Gram
        matrix of n points in float64 cannot distinguish values below 1.5e-8 √n from zero.
    increments : bool or "auto"
        Resolve smaller steps: the Gram matrix of the steps, scaled to unit lengths, is factored, and the coordinates
        are sums of these factors. This costs two more decompositions of an n × n matrix. By default it is used if the
        shortest step would otherwise have a relative error above 1e-6.
    block_size : int
        Columns a product.
    dtype : dtype, optional
        dtype of the products, float32 or float64; by default that of the points.
    device : str, optional
        A torch device for the products, such as ``"cuda"``.
    lift_dtype : dtype, optional
        dtype of lifted points, float64 by default; float32 is twice as fast, and as exact as float32 weights.

    Attributes
    ----------
    mean_ : numpy.ndarray, shape (P,)
        Mean of the points, float64.
    singular_values_ : numpy.ndarray, shape (r,)
        Singular values of the centred points, descending.
    explained_variance_ratio_ : numpy.ndarray, shape (r,)
        Shares of the total variance in [0, 1]; no evidence of low dimension without a comparison with their null.
    n_components_ : int
        r.
    embedding_ : numpy.ndarray, shape (n, r)
        Coordinates of the fitted points.
    residuals_ : numpy.ndarray, shape (n,)
        Distances of the fitted points from the kept span; zeros if all of it was kept. They come from the Gram matrix.
        Their error relative to the largest singular value is 1.5e-8 √n in float64 (2e-16 n with `increments` and all n
        values), and about 1e-4 with products in float32.
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

    _kept = (
        "_left", "singular_values_", "explained_variance_ratio_", "residuals_", "n_components_", "n_features_in_",
        "distance_error_",
    )  # fmt: skip

    def __init__(
        self,
        n_components: float | None = None,
        *,
        tol: float = 1e-7,
        increments: bool | str = "auto",
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

    def fit(self, X: Any, y: Any = None, *, executor: Executor | None = None) -> Self:
        """Find the span of the points.

        Parameters
        ----------
        X : Iterates or array-like, shape (n, P)
            The points, one per row; a run's lazy iterates are streamed.
        y : None
            Ignored.
        executor : concurrent.futures.Executor, optional
            Executor of the inner products, for example a process pool or
            ``dask.distributed.Client(...).get_executor()``; in a pipeline ``pipeline.fit(X, rowspace__executor=pool)``.
            For a run a task contains file names and a range of columns, not numbers, so workers need the same file
            system; for an array it contains the columns. The order of the sums is fixed: any executor gives the same
            bits with the same number of threads.

        Returns
        -------
        RowSpace
            The fitted estimator.

        Raises
        ------
        InputError
            If a point holds NaN or inf (the message names the rows), all points are equal, or more coordinates are
            requested than the points span.
        """
        check_positive("tol", self.tol, zero=True)
        check_count("block_size", self.block_size)
        if not isinstance(self.increments, bool):
            check_choice("increments", self.increments, ("auto",))
        if self.dtype is not None and np.dtype(self.dtype) not in {np.dtype(np.float32), np.dtype(np.float64)}:
            raise InputError(worded("dtype", "float32 or float64", self.dtype))
        self._fit(self._check(X, reset=True), executor)
        return self

    def fit_transform(self, X: Any, y: Any = None, *, executor: Executor | None = None) -> Array:
        """Fit and return the coordinates of the points, shape (n, r), without a second pass."""
        return self.fit(X, executor=executor).embedding_

    def transform(self, X: Any) -> Array:
        """Coordinates of points of R^P: their projection on the span.

        Iterates of the fit, all or some, are not read again: see `fitted_places`.

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
        Z = self._span.project(X)
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
        return self._span.lift(self.coefficients(Z))

    def frame(self) -> Frame:
        """Mean and basis, so that every lifted point is origin + c·basis; a basis that is not kept is read lazily.

        Returns
        -------
        Frame
            ``frame().points(coefficients(Z))`` equals ``inverse_transform(Z)``.
        """
        check_is_fitted(self)
        return Frame(*self._span.lazily())

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
        """Places among the fitted points of iterates that are certainly some of them.

        Parameters
        ----------
        X : Iterates or array-like
            A run's iterates, possibly reopened, thinned or reordered.

        Returns
        -------
        numpy.ndarray of shape (m,), or None
            ``embedding_[places]`` are their coordinates and ``residuals_[places]`` their distances from the span. None
            if a row is another file or has other columns, and for arrays, which may have changed.
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
        return self._left * self.singular_values_

    @property
    def mean_(self) -> Array:
        """Mean of the points, shape (P,)."""
        check_is_fitted(self)
        return self._span.read()[0]

    @property
    def components_(self) -> Array:
        """Orthonormal basis of the span, shape (r, P); recomputed on each access if it is too large to keep."""
        check_is_fitted(self)
        return self._span.components()

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

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

    def _fit(self, X: Any, executor: Executor | None) -> None:
        dtype = np.dtype(X.dtype if self.dtype is None else self.dtype)
        steps = step_gram(X, width=self.block_size, dtype=dtype, multiply=multiplier(self.device), executor=executor)
        self.distance_error_ = X.distance_error if isinstance(X, Iterates) else 0.0
        found = decompose(steps, increments=self.increments, first=self.n_components)
        keep = found.count(self.n_components, tol=self.tol, size=self.n_features_in_)
        self._left = found.left[:, :keep] * fix_signs(found.left[:, :keep])
        self.singular_values_ = found.singular[:keep]
        self.explained_variance_ratio_ = found.singular[:keep] ** 2 / found.total
        self.residuals_ = found.residuals(keep)
        self.n_components_ = keep
        settle(self, X)

    def _rebuild(self, points: Any) -> None:
        lifted = np.dtype(np.float64 if self.lift_dtype is None else self.lift_dtype)
        small = self.n_components_ * self.n_features_in_ * lifted.itemsize <= _KEEP_BYTES
        weights = (self._left / self.singular_values_).T
        self._span = Span(points, weights, lifted, width=self.block_size, keep=small)
        self._places = {key: i for i, key in enumerate(points.keys)} if isinstance(points, Iterates) else {}
