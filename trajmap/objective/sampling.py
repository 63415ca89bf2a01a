"""The sampling error of a loss over part of the data."""

import numpy as np

from trajmap._validation import Array
from trajmap.objective.objective import Objective

__all__ = ["standard_error"]


def standard_error(objective: Objective, theta: Array) -> float:
    """Estimate the standard error of the loss from the spread over the objective's batches.

    Parameters
    ----------
    objective : Objective
        A loss over a sample of the data, in at least two batches.
    theta : array-like, shape (P,)
        The point.

    Returns
    -------
    float
        Standard error; NaN for one batch.

    Examples
    --------
    >>> import torch
    >>> batches = [torch.full((4, 1), v) for v in (1.0, 2.0, 3.0)]
    >>> mean = Objective(torch.nn.Linear(1, 1, bias=False), lambda m, x: m(x).mean(), batches)
    >>> round(standard_error(mean, [1.0]), 6)
    0.57735
    """
    means, weights = objective.batch_losses(theta)
    n = len(means)
    if n < 2:
        return float("nan")
    total = weights.sum()  # 1, except if the loss is a sum
    shares = weights / total
    return float(total * np.sqrt(n / (n - 1) * np.sum(shares**2 * (means - shares @ means) ** 2)))
