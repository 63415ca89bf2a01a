"""Inner products of a run's iterates in one streaming pass.

Inner products of iterates lose small steps: rounding is relative to the iterates' norm. Inner products of the
*steps* keep them, since rounding is relative to the steps then; the Gram matrix of the iterates is the steps'
one, summed twice and centred, in float64.
"""

import concurrent.futures
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from trajmap._validation import Array, worded
from trajmap.errors import InputError

__all__ = [
    "centred_gram",
    "column_blocks",
    "isometric_coordinates",
    "point_factors",
    "require_finite",
    "step_gram",
    "steps_are_short",
    "streamed_products",
    "wide_blocks",
]

Multiply = Callable[[Array], Array]

# rows are read this many bytes at a time: opening files costs more than the blocks of the product would bear
_READ_BYTES = 2**27


def _self_product(steps: Array) -> Array:
    return steps @ steps.T


def column_blocks(size: int, width: int = 8192) -> Iterator[slice]:
    """Cut the columns 0 … size − 1 into blocks; a pass holds one block of every row at a time."""
    return (slice(start, min(start + width, size)) for start in range(0, size, width))


def streamed_products(iterates: Any, others: Array) -> tuple[Array, Array]:
    """Gram matrix of the mean-centred iterates, and their products with further vectors.

    Parameters
    ----------
    iterates : Iterates or array-like, shape (T, P)
        The run; never held whole.
    others : numpy.ndarray, shape (m, P)
        Vectors; they are not centred.

    Returns
    -------
    gram : numpy.ndarray, shape (T, T)
        X_c X_cᵀ.
    products : numpy.ndarray, shape (T, m)
        X_c othersᵀ.

    Examples
    --------
    >>> gram, products = streamed_products(np.array([[0.0, 0], [2, 2]]), np.array([[1.0, 0]]))
    >>> gram.tolist(), products.tolist()
    ([[2.0, -2.0], [-2.0, 2.0]], [[-1.0], [1.0]])
    """
    T = len(iterates)
    gram, products = np.zeros((T, T)), np.zeros((T, len(others)))
    for columns in column_blocks(iterates.shape[1]):
        block = np.asarray(iterates[:, columns], dtype=np.float64)
        block = block - block.mean(axis=0)
        gram += block @ block.T
        products += block @ others[:, columns].T
    return gram, products


def wide_blocks(X: Any, width: int) -> Iterator[tuple[slice, Array]]:
    """Read blocks of columns of every row, the width of the product or a multiple of it; the next one is read ahead."""
    n, P = X.shape
    many = max(1, _READ_BYTES // (n * width * X.dtype.itemsize))
    blocks = list(column_blocks(P, width * many))
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="trajmap-read") as reader:
        coming = reader.submit(lambda columns: np.asarray(X[:, columns]), blocks[0])
        for columns, after in itertools.zip_longest(blocks, blocks[1:]):
            block = coming.result()
            if after is not None:
                coming = reader.submit(lambda wanted: np.asarray(X[:, wanted]), after)
            yield columns, block
            del block


def step_gram(X: Any, *, width: int, dtype: Any, multiply: Multiply = _self_product) -> tuple[Array, Array]:
    """Inner products of the steps between successive rows, and the mean of the rows.

    Parameters
    ----------
    X : Iterates or numpy.ndarray, shape (n, P)
        The points.
    width : int
        Columns a product: their products are summed in `dtype`, the blocks' in float64.
    dtype : numpy.dtype
        float32 or float64.
    multiply : callable
        ``steps -> steps @ steps.T``, perhaps on another device.

    Returns
    -------
    gram : numpy.ndarray, shape (n, n), float64
        In the last n − 1 rows and columns the products of the steps; zeros in the first.
    mean : numpy.ndarray, shape (P,), float64
        Mean of the rows.

    Raises
    ------
    InputError
        If a row holds NaN or inf; the message names the rows.
    """
    n, P = X.shape
    gram, mean = np.zeros((n, n)), np.empty(P)
    with np.errstate(over="ignore", invalid="ignore"):
        for columns, block in wide_blocks(X, width):
            mean[columns] = block.mean(axis=0, dtype=np.float64)
            for inner in column_blocks(block.shape[1], width):
                steps = np.diff(block[:, inner].astype(dtype, copy=False), axis=0)
                gram[1:, 1:] += multiply(steps)
    if not np.isfinite(gram).all() or not np.isfinite(mean).all():
        require_finite(X, width)
        if dtype == np.float32:  # finite, but their squares are not
            return step_gram(X, width=width, dtype=np.dtype(np.float64), multiply=multiply)
        raise InputError(worded("X", "numbers whose squares are finite", "larger ones", "divide by a common factor"))
    return gram, mean


def centred_gram(steps: Array) -> Array:
    """Turn the steps' Gram matrix into the points' own about their mean, in place."""
    # centred between the two sums: a start far from the rest would leave its rounding everywhere
    np.cumsum(steps, axis=0, out=steps)
    steps -= steps.mean(axis=0)
    np.cumsum(steps, axis=1, out=steps)
    steps -= steps.mean(axis=1, keepdims=True)
    return steps


def steps_are_short(steps: Array) -> bool:
    """Tell whether a step is so short that the points' own Gram matrix would lose more than 1e-6 of its length.

    An eigenvalue σ² of that matrix is right to eps σ₁², so a step of length ℓ is to eps (σ₁/ℓ)². The square of σ₁ is
    bounded by the trace.

    Parameters
    ----------
    steps : numpy.ndarray, shape (n, n)
        As `step_gram` gives it.

    Returns
    -------
    bool
        Whether; equal points do not count.
    """
    squares = np.diag(steps)
    moved = squares[squares > 0]
    if not len(moved):
        return False
    extent = float(np.trace(centred_gram(steps.copy())))
    return bool(np.finfo(float).eps * extent > 1e-6 * float(moved.min()))


def point_factors(steps: Array) -> Array:
    """Coordinates of the points about their mean, (n, n), as sums of the steps', each step factored at length one."""
    lengths = np.sqrt(np.diag(steps))
    units = np.where(lengths > 0, lengths, 1.0)
    values, vectors = np.linalg.eigh(steps / np.outer(units, units))
    # what rounding makes of a zero would be a direction of its own for each step
    values[values < len(values) * np.finfo(float).eps * values[-1]] = 0
    points: Array = np.cumsum(vectors * np.sqrt(values) * lengths[:, None], axis=0)
    points -= points.mean(axis=0)
    return points


def require_finite(X: Any, width: int) -> None:
    """Raise InputError that names the rows with NaN or inf, if there are any."""
    bad = np.zeros(X.shape[0], dtype=bool)
    for _, block in wide_blocks(X, width):
        bad |= ~np.isfinite(block).all(axis=1)
    if bad.any():
        rows = ", ".join(map(str, np.flatnonzero(bad)[:5])) + (", …" if bad.sum() > 5 else "")
        got = f"NaN or inf in {bad.sum()} of n_samples = {len(bad)} rows ({rows})"
        raise InputError(worded("X", "finite numbers", got, "trajectory.finite() leaves these iterates out"))


def isometric_coordinates(iterates: Any, *, width: int = 4096) -> Array:
    """Coordinates of points in the space they span, centred, without changing a distance: a row space without a lift.

    Parameters
    ----------
    iterates : Iterates or numpy.ndarray, shape (n, P)
        The points, in time order.
    width : int
        Columns a product.

    Returns
    -------
    numpy.ndarray, shape (n, r)
        Principal coordinates, those above rounding.

    Examples
    --------
    >>> isometric_coordinates(np.array([[0.0, 0, 0], [3, 0, 4]])).tolist()
    [[-2.5], [2.5]]
    """
    steps, _ = step_gram(iterates, width=width, dtype=np.dtype(iterates.dtype))
    if steps_are_short(steps):
        left, singular, _ = np.linalg.svd(point_factors(steps), full_matrices=False)
        keep = singular > len(steps) * np.finfo(float).eps * singular[0]
        return np.asarray(left[:, keep] * singular[keep])
    values, vectors = np.linalg.eigh(centred_gram(steps))
    keep = values > len(steps) * np.finfo(float).eps * values[-1]
    coordinates: Array = (vectors[:, keep] * np.sqrt(values[keep]))[:, ::-1]
    return coordinates
