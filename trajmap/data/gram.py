"""Inner products of a run's iterates in one streaming pass, in float64."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from trajmap._validation import Array

__all__ = ["column_blocks", "streamed_products"]


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
