"""The centred Gram matrix of a run's iterates from the inner products of its steps, in one streaming pass.

Inner products of iterates lose small steps: rounding is relative to the iterates' norm. Inner products of the
*steps* keep them, since floating point is relative to the steps then; the Gram matrix of the iterates is the steps'
one, summed twice and centred, in float64.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.gram import column_blocks
from trajmap.errors import InputError

__all__ = ["centred_gram", "require_finite", "step_gram", "wide_blocks"]

# rows are read this many bytes at a time: opening files costs more than the blocks of the product would bear
_READ_BYTES = 2**27


def wide_blocks(X: Any, width: int) -> Iterator[tuple[slice, Array]]:
    """Read blocks of columns of every row, the width of the product or a multiple of it."""
    n, P = X.shape
    many = max(1, _READ_BYTES // (n * width * X.dtype.itemsize))
    for columns in column_blocks(P, width * many):
        yield columns, np.asarray(X[:, columns])


def step_gram(X: Any, *, width: int, dtype: Any, device: str | None) -> tuple[Array, Array]:
    """Inner products of the steps between successive rows, and the mean of the rows.

    Parameters
    ----------
    X : Iterates or numpy.ndarray, shape (n, P)
        The points.
    width : int
        Columns a product: their products are summed in `dtype`, the blocks' in float64.
    dtype : numpy.dtype
        float32 or float64.
    device : str, optional
        A torch device to multiply on.

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
    multiply = _multiplier(device)
    with np.errstate(over="ignore", invalid="ignore"):
        for columns, block in wide_blocks(X, width):
            mean[columns] = block.mean(axis=0, dtype=np.float64)
            for inner in column_blocks(block.shape[1], width):
                steps = np.diff(block[:, inner].astype(dtype, copy=False), axis=0)
                gram[1:, 1:] += multiply(steps)
    if not np.isfinite(gram).all() or not np.isfinite(mean).all():
        require_finite(X, width)
        if dtype == np.float32:  # finite, but their squares are not
            return step_gram(X, width=width, dtype=np.dtype(np.float64), device=device)
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


def require_finite(X: Any, width: int) -> None:
    """Raise InputError that names the rows with NaN or inf, if there are any."""
    bad = np.zeros(X.shape[0], dtype=bool)
    for _, block in wide_blocks(X, width):
        bad |= ~np.isfinite(block).all(axis=1)
    if bad.any():
        rows = ", ".join(map(str, np.flatnonzero(bad)[:5])) + (", …" if bad.sum() > 5 else "")
        got = f"NaN or inf in {bad.sum()} of n_samples = {len(bad)} rows ({rows})"
        raise InputError(worded("X", "finite numbers", got, "trajectory.finite() leaves these iterates out"))


def _multiplier(device: str | None) -> Callable[[Array], Array]:
    if device is None:
        return lambda steps: steps @ steps.T
    import torch

    def multiply(steps: Array) -> Array:
        moved = torch.from_numpy(np.ascontiguousarray(steps)).to(device)
        product: Array = (moved @ moved.T).cpu().numpy()
        return product

    return multiply
