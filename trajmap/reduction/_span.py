"""Mean and basis of the span of points, read from the points on demand."""

import dataclasses
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.frame import stretches
from trajmap.data.gram import column_blocks, wide_blocks
from trajmap.data.store.iterates import Iterates

__all__ = ["LazyBasis", "Span"]


@dataclasses.dataclass(frozen=True, eq=False)
class LazyBasis:
    """Basis vectors S⁻¹ Uᵀ X_c, computed from the points whenever columns are requested."""

    points: Any
    weights: Array  # S⁻¹ Uᵀ, (r, n); each row has the sum 0
    dtype: Any

    @property
    def shape(self) -> tuple[int, int]:
        """(r, P)."""
        return len(self.weights), int(self.points.shape[1])

    def __getitem__(self, key: tuple[Any, slice]) -> Array:
        rows, columns = key
        weights, (start, stop, _) = self.weights[rows], columns.indices(self.shape[1])
        basis = np.empty((*weights.shape[:-1], stop - start), self.dtype)
        for inner in stretches(len(self.points), self.shape[1], stop - start):
            # always a copy, because the subtraction is done in place and this may be the user's array
            block = np.array(self.points[:, start + inner.start : start + inner.stop], dtype=np.float64)
            block -= block[0].copy()
            basis[..., inner] = weights @ block
        return basis

    def combined(self, weights: Array, dtype: Any) -> "LazyBasis":
        """Combine the rows, (k, r) → k rows, by reading and combining the points instead of r rows of R^P."""
        return LazyBasis(self.points, weights @ self.weights, dtype)


class Span:
    """Mean and basis of points; an array is read at once, because it may change later.

    Parameters
    ----------
    points : Iterates or numpy.ndarray, shape (n, P)
        The points.
    weights : numpy.ndarray, shape (r, n)
        Weights of the points in each basis vector, S⁻¹ Uᵀ.
    dtype : numpy.dtype
        dtype of the basis.
    width : int
        Columns per product.
    keep : bool
        Whether to keep the basis in memory, instead of computing it from the points each time.
    """

    def __init__(self, points: Any, weights: Array, dtype: Any, *, width: int, keep: bool) -> None:
        # centring the weights centres the points
        self._unread: LazyBasis | None = LazyBasis(points, weights - weights.mean(axis=1, keepdims=True), dtype)
        self._width, self._keep = width, keep
        self._found: tuple[Array, Any] = np.empty(0), None
        self._mean = np.empty(0)
        if not isinstance(points, Iterates):
            self.read()

    def __getstate__(self) -> dict[str, Any]:
        """Read first, because a pickle may be opened where the run is missing."""
        self.read()
        return vars(self)

    def read(self) -> tuple[Array, Any]:
        """Mean and basis; RunFormatError if the files of a run have been replaced since it was opened."""
        lazy = self._unread
        if lazy is not None:
            if isinstance(lazy.points, Iterates):
                lazy.points.require_same()
            self._found = _read(lazy, width=self._width, keep=self._keep)
            self._unread, self._mean = None, np.empty(0)
        return self._found

    def lazily(self) -> tuple[Array, Any]:
        """Mean and basis; an unread basis stays in the files, because a few combinations of it may be enough."""
        lazy = self._unread
        if lazy is None:
            return self._found
        lazy.points.require_same()
        if not len(self._mean):
            n, P = lazy.points.shape
            self._mean = np.empty(P)
            for columns in stretches(n, P):
                np.mean(lazy.points[:, columns], axis=0, dtype=np.float64, out=self._mean[columns])
        return self._mean, lazy

    def components(self) -> Array:
        """Return a copy of the basis, float64."""
        basis = self.read()[1]
        if isinstance(basis, LazyBasis):
            basis = _read(basis, width=self._width, keep=True)[1]
        return basis.astype(np.float64)

    def project(self, X: Any) -> Array:
        """Coordinates of points, (m, r); NaN for points with NaN or inf."""
        mean, basis = self.read()
        Z = np.zeros((len(X), basis.shape[0]))
        with np.errstate(invalid="ignore"):
            for columns, block in wide_blocks(X, self._width):
                rows, middle = basis[:, columns], mean[columns]
                for inner in column_blocks(block.shape[1], self._width):
                    Z += (block[:, inner] - middle[inner]) @ rows[:, inner].T
        return Z

    def lift(self, Z: Array) -> Array:
        """Points at coordinates, (m, P), in the basis's dtype."""
        mean, basis = self.read()
        Z = Z.astype(basis.dtype)
        out = np.empty((len(Z), len(mean)), dtype=basis.dtype)
        for columns in column_blocks(len(mean), self._width):
            np.matmul(Z, basis[:, columns], out=out[:, columns])
            out[:, columns] += mean[columns]
        return out


def _read(lazy: LazyBasis, *, width: int, keep: bool) -> tuple[Array, Any]:
    """Read the points once for their mean in float64, and for the basis or (if it is not kept) its recipe."""
    n, P = lazy.points.shape
    r = len(lazy.weights) if keep else 0
    rows = np.vstack([lazy.weights[:r], np.full((1, n), 1 / n)])
    mean, basis, buffer = np.empty(P), np.empty((r, P), lazy.dtype), np.empty((n, min(width, P)))
    for columns, block in wide_blocks(lazy.points, width):
        for inner in column_blocks(block.shape[1], width):
            points = buffer[:, : inner.stop - inner.start]
            points[...] = block[:, inner]
            first = points[0].copy()
            points -= first  # far from zero the rounding would be relative to the mean
            made = rows @ points
            there = slice(columns.start + inner.start, columns.start + inner.stop)
            basis[:, there], mean[there] = made[:-1], made[-1] + first
    return mean, basis if keep else lazy
