"""An affine frame: an origin and basis vectors, so that a point of R^P is given by m coefficients."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from trajmap._validation import Array, check_array, worded
from trajmap.data.gram import column_blocks
from trajmap.errors import InputError

__all__ = ["Frame", "stretches"]


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """The points origin + c·basis.

    Every lift of a chart with a frame is such a point: the chart provides its frame once and then m coefficients per
    point, so that no array of size P is made for each. The basis may be lazy and is read in blocks of columns.

    Parameters
    ----------
    origin : numpy.ndarray, shape (P,)
        The point at c = 0.
    basis : numpy.ndarray or lazy matrix, shape (m, P)
        Rows to combine; an object with ``shape``, ``dtype`` and ``[:, columns]``, such as a run's iterates. They need
        not be orthogonal or independent.
    orthonormal : bool
        Whether they are known to be orthonormal; their Gram matrix is then not computed.

    Raises
    ------
    InputError
        If the shapes do not fit.

    Examples
    --------
    >>> frame = Frame(np.zeros(3), np.eye(2, 3))
    >>> frame.points([[2.0, 5.0]]).tolist(), frame.gram().tolist()
    ([[2.0, 5.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])
    """

    origin: Array
    basis: Any
    orthonormal: bool = False

    def __post_init__(self) -> None:
        if len(self.basis.shape) != 2 or self.basis.shape[1] != len(self.origin):
            raise InputError(worded("basis", f"shape (any, {len(self.origin)})", f"{tuple(self.basis.shape)}"))

    @property
    def size(self) -> int:
        """P, the number of entries of a point."""
        return len(self.origin)

    @property
    def n_vectors(self) -> int:
        """m, the number of coefficients."""
        return int(self.basis.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of origin and basis in the basis's dtype."""
        return (1 + self.n_vectors) * self.size * np.dtype(self.basis.dtype).itemsize

    def blocks(self, width: int = 2**16) -> Iterator[tuple[slice, Array, Array]]:
        """Read the frame in blocks of columns: the columns, the origin there and the basis there."""
        for columns in column_blocks(self.size, width):
            yield columns, self.origin[columns], np.asarray(self.basis[:, columns])

    def points(self, coefficients: Any) -> Array:
        """Points at coefficients, (n, m) → (n, P), float64."""
        C = check_array("coefficients", coefficients, (None, self.n_vectors), dtype=np.float64)
        out = np.empty((len(C), self.size))
        for columns, origin, basis in self.blocks():
            np.matmul(C, basis.astype(np.float64, copy=False), out=out[:, columns])
            out[:, columns] += origin
        return out

    def gram(self) -> Array:
        """Inner products of the basis vectors, (m, m), float64."""
        if self.orthonormal:
            return np.eye(self.n_vectors)
        total = np.zeros((self.n_vectors, self.n_vectors))
        for _, _, basis in self.blocks():
            rows = basis.astype(np.float64, copy=False)
            total += rows @ rows.T
        return total


def stretches(n_rows: int, size: int, stop: int | None = None) -> Iterator[slice]:
    """Split the columns of an n × P matrix into ranges that together hold an eighth of a row's numbers.

    A pass over a run then needs the memory of a quarter of a float64 point, and opens each file rarely: a range holds
    at least 2¹⁸ and at most 2²² numbers.

    Parameters
    ----------
    n_rows, size : int
        Shape of the matrix.
    stop : int, optional
        The columns end there instead of at `size`.

    Returns
    -------
    iterator of slice
        The ranges, in order.
    """
    width = max(1, min(max(size // 8, 2**18), 2**22) // max(n_rows, 1))
    return column_blocks(size if stop is None else stop, width)
