"""Standard error of a weighted mean over batches."""

import numpy as np

from trajmap._validation import Array

__all__ = ["batch_error"]


def batch_error(values: Array, weights: Array) -> float:
    """Estimate the standard error of a weighted sum over batches, from the spread of the batches.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        One number per batch.
    weights : numpy.ndarray, shape (n,)
        Weight of each batch in the sum, as in ``objective.batch_losses``.

    Returns
    -------
    float
        Standard error; NaN for one batch.

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
