"""How far a weighted mean over batches would move with other data."""

import numpy as np

from trajmap._validation import Array

__all__ = ["batch_error"]


def batch_error(values: Array, weights: Array) -> float:
    """Estimate the standard error of a weighted sum over batches, from how much the batches differ.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        One number a batch.
    weights : numpy.ndarray, shape (n,)
        What each counts in the sum, as ``objective.batch_losses`` gives them.

    Returns
    -------
    float
        NaN for one batch.

    Examples
    --------
    >>> batch_error(np.array([1.0, 3.0]), np.array([0.5, 0.5]))
    1.0
    """
    n = len(values)
    if n < 2:
        return float("nan")
    center = float(weights @ values) / float(weights.sum())
    return float(np.sqrt(np.sum(weights**2 * (values - center) ** 2) * n / (n - 1)))
