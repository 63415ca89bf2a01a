"""Inner products of a run's iterates in one streaming pass.

Inner products of iterates do not resolve small steps, because rounding is relative to the iterates' norm. Inner
products of the *steps* do, because rounding is then relative to the steps. The Gram matrix of the iterates is that of
the steps, summed twice and centred, in float64.
"""

import collections
import concurrent.futures
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.store.iterates import Iterates
from trajmap.errors import InputError

__all__ = [
    "centred_gram",
    "column_blocks",
    "gram_distances",
    "isometric_coordinates",
    "point_factors",
    "principal_variances",
    "require_finite",
    "self_product",
    "step_gram",
    "steps_are_short",
    "streamed_products",
    "wide_blocks",
]

Multiply = Callable[[Array], Array]

# rows are read this many bytes at a time, because smaller reads would spend too much time opening files
_READ_BYTES = 2**25
# an executor's task reads this many bytes
_TASK_BYTES = 2**27


def self_product(steps: Array) -> Array:
    """Multiply steps by their transpose."""
    return steps @ steps.T


def column_blocks(size: int, width: int = 8192) -> Iterator[slice]:
    """Split the columns 0 … size − 1 into blocks; a pass holds one block of every row at a time."""
    return (slice(start, min(start + width, size)) for start in range(0, size, width))


def streamed_products(iterates: Any, others: Array) -> tuple[Array, Array]:
    """Gram matrix of the mean-centred iterates, and their products with further vectors.

    Parameters
    ----------
    iterates : Iterates or array-like, shape (T, P)
        The run; it is never in memory as a whole.
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
    """Read blocks of columns of every row, the width of the product or a multiple of it; the next one is read ahead.

    Yields
    ------
    columns : slice
        The columns.
    block : numpy.ndarray, shape (n, number of columns)
        A view of the array; for a run, a buffer that the next block overwrites, because allocating new pages costs as
        much as reading.
    """
    n, P = X.shape
    many = max(1, _READ_BYTES // (n * width * X.dtype.itemsize))
    blocks = list(column_blocks(P, width * many))
    if not isinstance(X, Iterates):
        yield from ((columns, X[:, columns]) for columns in blocks)
        return
    buffers = [np.empty((n, blocks[0].stop), X.dtype) for _ in blocks[:2]]

    def read(place: int) -> Array:
        columns = blocks[place]
        return X.read(columns, buffers[place % 2][:, : columns.stop - columns.start])

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="trajmap-read") as reader:
        coming = reader.submit(read, 0)
        for place, columns in enumerate(blocks):
            block = coming.result()
            if place + 1 < len(blocks):
                coming = reader.submit(read, place + 1)
            yield columns, block


def step_gram(
    X: Any,
    *,
    width: int,
    dtype: Any,
    multiply: Multiply = self_product,
    executor: concurrent.futures.Executor | None = None,
) -> Array:
    """Inner products of the steps between successive rows.

    Parameters
    ----------
    X : Iterates or numpy.ndarray, shape (n, P)
        The points.
    width : int
        Columns per product: sums within a product are in `dtype`, sums over blocks in float64.
    dtype : numpy.dtype
        float32 or float64.
    multiply : callable
        ``steps -> steps @ steps.T``, perhaps on another device; the executor's other processes must be able to import
        it.
    executor : concurrent.futures.Executor, optional
        Executor of the products; by default this process.

    Returns
    -------
    numpy.ndarray, shape (n, n), float64
        In the last n − 1 rows and columns the products of the steps; zeros in the first.

    Raises
    ------
    InputError
        If a row holds NaN or inf; the message names the rows.
    """
    n, P = X.shape
    gram = np.zeros((n, n))
    # an integer number of products, enough that there are few partial sums compared with the points
    wide = max(_TASK_BYTES // (n * X.dtype.itemsize), 8 * n) // width * width or width
    parts = (X.narrow([c]) if isinstance(X, Iterates) else X[:, c] for c in column_blocks(P, wide))
    # the order of the sums is that of the columns, for any executor
    for part in _done(executor, functools.partial(_partial_gram, width=width, dtype=dtype, multiply=multiply), parts):
        gram[1:, 1:] += part
    if not np.isfinite(gram).all():
        require_finite(X, width)
        if dtype == np.float32:  # finite, but their squares are not
            return step_gram(X, width=width, dtype=np.dtype(np.float64), multiply=multiply, executor=executor)
        raise InputError(worded("X", "numbers whose squares are finite", "larger ones", "divide by a common factor"))
    return gram


def _partial_gram(X: Any, *, width: int, dtype: Any, multiply: Multiply) -> Array:
    """Inner products of the steps over some columns."""
    gram, steps = np.zeros((len(X) - 1, len(X) - 1)), np.empty((len(X) - 1, min(width, X.shape[1])), dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for _, block in wide_blocks(X, width):
            for inner in column_blocks(block.shape[1], width):
                found = steps[:, : inner.stop - inner.start]
                np.subtract(block[1:, inner], block[:-1, inner], out=found, dtype=dtype, casting="same_kind")
                gram += multiply(found)
    return gram


def _done(
    executor: concurrent.futures.Executor | None, work: Callable[[Any], Array], parts: Iterator[Any]
) -> Iterator[Array]:
    """Do the work on each part, here or elsewhere, and yield the results in order."""
    if executor is None:
        yield from map(work, parts)
        return
    waiting = collections.deque(executor.submit(work, part) for part in parts)
    try:
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:  # none, unless one has failed
            future.cancel()


def centred_gram(steps: Array) -> Array:
    """Convert the steps' Gram matrix to that of the centred points, in place."""
    # centred between the two sums, because a start far from the rest would spread its rounding everywhere
    np.cumsum(steps, axis=0, out=steps)
    steps -= steps.mean(axis=0)
    np.cumsum(steps, axis=1, out=steps)
    steps -= steps.mean(axis=1, keepdims=True)
    return steps


def steps_are_short(steps: Array) -> bool:
    """Return whether a step is so short that its relative error in the points' Gram matrix would exceed 1e-6.

    An eigenvalue σ² of that matrix has an error of eps σ₁², so a step of length ℓ has a relative error of eps (σ₁/ℓ)².
    The square of σ₁ is bounded by the trace.

    Parameters
    ----------
    steps : numpy.ndarray, shape (n, n)
        The result of `step_gram`.

    Returns
    -------
    bool
        Whether there is such a step; equal points do not count.
    """
    squares = np.diag(steps)
    moved = squares[squares > 0]
    if not len(moved):
        return False
    extent = float(np.trace(centred_gram(steps.copy())))
    return bool(np.finfo(float).eps * extent > 1e-6 * float(moved.min()))


def point_factors(steps: Array) -> Array:
    """Coordinates of the points about their mean, (n, n), as sums of the steps', each step factored at unit length."""
    lengths = np.sqrt(np.diag(steps))
    units = np.where(lengths > 0, lengths, 1.0)
    values, vectors = np.linalg.eigh(steps / np.outer(units, units))
    # the rounding of a zero would give each step a separate direction
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
        raise InputError(worded("X", "finite numbers", got, "trajectory.finite() removes these iterates"))


def principal_variances(X: Array) -> Array:
    """Squared extents of points along their principal axes: the eigenvalues of their centred Gram matrix.

    Parameters
    ----------
    X : numpy.ndarray, shape (n, r)
        The points.

    Returns
    -------
    numpy.ndarray, shape (min(n, r),)
        Descending.

    Examples
    --------
    >>> principal_variances(np.array([[3.0, 1.0], [-3.0, 1.0]])).round(12).tolist()
    [18.0, 0.0]
    """
    squares: Array = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2
    return squares


def gram_distances(steps: Array) -> Array:
    """Distances of points from each other by the Gram matrix of their steps, which is written over.

    Parameters
    ----------
    steps : numpy.ndarray, shape (n, n)
        As `step_gram` gives it.

    Returns
    -------
    numpy.ndarray, shape (n, n)
        Distances.

    Examples
    --------
    >>> gram_distances(np.diag([0.0, 9.0, 16.0])).tolist()
    [[0.0, 3.0, 5.0], [3.0, 0.0, 4.0], [5.0, 4.0, 0.0]]
    """
    gram = centred_gram(steps)
    squares = np.diag(gram)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * gram, 0))


def isometric_coordinates(iterates: Any, *, width: int = 4096) -> Array:
    """Centred isometric coordinates of points in the space that they span: a row space without a lift.

    Parameters
    ----------
    iterates : Iterates or numpy.ndarray, shape (n, P)
        The points, in time order.
    width : int
        Columns per product.

    Returns
    -------
    numpy.ndarray, shape (n, r)
        Principal coordinates above rounding.

    Examples
    --------
    >>> isometric_coordinates(np.array([[0.0, 0, 0], [3, 0, 4]])).tolist()
    [[-2.5], [2.5]]
    """
    steps = step_gram(iterates, width=width, dtype=np.dtype(iterates.dtype))
    # products of float32 numbers have errors above float64 rounding, in more directions than points can span
    most = min(len(iterates) - 1, iterates.shape[1])
    if steps_are_short(steps):
        left, singular, _ = np.linalg.svd(point_factors(steps), full_matrices=False)
        keep = singular > len(steps) * np.finfo(float).eps * singular[0]
        keep[most:] = False
        return np.asarray(left[:, keep] * singular[keep])
    values, vectors = np.linalg.eigh(centred_gram(steps))
    keep = values > len(steps) * np.finfo(float).eps * values[-1]
    keep[: max(len(values) - most, 0)] = False
    return (vectors[:, keep] * np.sqrt(values[keep]))[:, ::-1]
