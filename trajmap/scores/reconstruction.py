"""How far the lift of an embedding lands from the points."""

from typing import Any, NamedTuple

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.reduction import Reduction
from trajmap.errors import InputError

__all__ = ["OtherRun", "reconstruction_error", "transfer_error"]


class OtherRun(NamedTuple):
    """Another run as it is seen from a run's row space.

    Parameters
    ----------
    X : numpy.ndarray, shape (n, r)
        Coordinates of its iterates' projections on the row space.
    off_space : numpy.ndarray, shape (n,)
        Squared distance of each iterate from the row space, which no lift can reach.
    variance : float
        Σ ‖θ − mean‖² of its iterates in R^P, about their own mean.
    """

    X: Array
    off_space: Array
    variance: float


def reconstruction_error(reduction: Reduction) -> float:
    """Squared distance of the lifts from the points, relative to the points' variance about their own mean.

    Parameters
    ----------
    reduction : Reduction
        The points and their lifts.

    Returns
    -------
    float
        1 − R²: 0 best, 1 for the mean of the points, above 1 worse than the mean. For PCA in sample it is one
        minus the explained variance. In-sample values are small for random walks too; held-out and sister
        values are not.

    Raises
    ------
    InputError
        If all points agree.

    Examples
    --------
    >>> X = np.array([[0.0, 0], [2, 0], [4, 0]])
    >>> reconstruction_error(Reduction(X, X, X + [0, 1]))
    0.375
    """
    X, X_hat = reduction.X, reduction.X_hat
    total = np.sum((X - X.mean(axis=0)) ** 2)
    if total == 0:
        raise InputError(worded("X", "points that differ", "equal ones"))
    return float(np.sum((X - X_hat) ** 2) / total)


def transfer_error(embedding: Any, other: OtherRun) -> float:
    """Reconstruction error of another run by an embedding that was fitted to this one.

    Exactly the error in R^P: the part of the other run outside this run's row space counts as lost.

    Parameters
    ----------
    embedding : estimator
        Fitted to this run's row-space coordinates.
    other : OtherRun
        The other run, as seen from there.

    Returns
    -------
    float
        1 − R²: 0 best, 1 for the other run's own mean. A random walk scores about 2 or worse on its sisters.

    Raises
    ------
    InputError
        If the other run's iterates all agree.
    """
    if not other.variance > 0:
        raise InputError(worded("other", "iterates that differ", f"variance {other.variance}"))
    lifted = embedding.inverse_transform(embedding.transform(other.X))
    lost = np.sum((other.X - lifted) ** 2) + np.sum(other.off_space)
    return float(lost / other.variance)
