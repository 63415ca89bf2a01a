"""Choose places among many: evenly, or evenly in their logarithm."""

import numpy as np

from trajmap._validation import Array

__all__ = ["even_places", "log_places"]


def even_places(n: int, n_places: int) -> Array:
    """Choose places among n, as even as whole numbers can be, the first and the last included.

    Parameters
    ----------
    n : int
        How many there are.
    n_places : int
        How many are wanted; all where there are fewer.

    Returns
    -------
    numpy.ndarray of int
        Ascending, each once.

    Examples
    --------
    >>> even_places(10, 4).tolist(), even_places(3, 8).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.unique(np.linspace(0, n - 1, min(n, n_places)).round().astype(int))


def log_places(low: float, high: float, n_places: int) -> Array:
    """Choose whole numbers from low to high, evenly in their logarithm.

    Parameters
    ----------
    low, high : float
        The ends, 1 or more; rounded down.
    n_places : int
        How many at most: small ones that are equal are counted once.

    Returns
    -------
    numpy.ndarray of int
        Ascending, each once.

    Examples
    --------
    >>> log_places(1, 100, 5).tolist()
    [1, 3, 10, 31, 100]
    """
    return np.unique(np.geomspace(low, high, n_places).astype(int))
