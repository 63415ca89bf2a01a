"""Common checks and conventions of the embeddings."""

from typing import Any

import numpy as np

from trajmap._validation import Array, check_count, worded
from trajmap.errors import InputError

__all__ = ["check_components", "check_dimension", "check_inverse", "fix_signs"]


def check_components(n_components: Any, X: Array) -> int:
    """Check that n points allow d coordinates, d ≤ n − 2."""
    d, n = check_count("n_components", n_components), len(X)
    if n < d + 2:
        expected = f"at most n_samples − 2 = {n - 2} coordinates of {n} points"
        raise InputError(worded("n_components", expected, d, "record more iterates, or request fewer coordinates"))
    return d


def check_dimension(n_components: int, X: Array) -> None:
    """Check that an injective chart has no more coordinates than the points have dimensions."""
    r = X.shape[1]
    if n_components > r:
        expected = f"at most n_features = {r}, the dimension of the points"
        raise InputError(worded("n_components", expected, n_components, "request fewer coordinates"))


def check_inverse(Z: Any, n_components: int) -> Array:
    """Check coordinates for a lift."""
    Z = np.asarray(Z, dtype=np.float64)
    if Z.ndim != 2 or Z.shape[1] != n_components:
        raise InputError(worded("Z", f"shape (any, {n_components})", Z))
    return Z


def fix_signs(columns: Array) -> Array:
    """Signs that make the entry of largest magnitude in each column positive.

    Parameters
    ----------
    columns : numpy.ndarray, shape (n, d)
        Coordinates whose signs are arbitrary.

    Returns
    -------
    numpy.ndarray, shape (d,)
        +1 or −1 per column.

    Examples
    --------
    >>> fix_signs(np.array([[1.0, 2.0], [-3.0, 1.0]]))
    array([-1.,  1.])
    """
    largest = columns[np.abs(columns).argmax(axis=0), np.arange(columns.shape[1])]
    return np.where(largest < 0, -1.0, 1.0)
