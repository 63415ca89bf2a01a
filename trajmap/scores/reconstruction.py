"""Distance of the lift of an embedding from the points."""

from typing import Any, NamedTuple

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.reduction import Reduction
from trajmap.errors import InputError

__all__ = ["OtherRun", "reconstruction_error", "transfer_error"]


class OtherRun(NamedTuple):
    """Another run in the row space of a run.

    Parameters
    ----------
    X : numpy.ndarray, shape (n, r)
        Coordinates of its iterates' projections on the row space.
    off_space : numpy.ndarray, shape (n,)
        Squared distance of each iterate from the row space; no lift can reduce it.
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
        1 − R² ≥ 0, lower is better: 0 is best, 1 is the mean of the points, above 1 is worse than the mean. For PCA in
        sample it is one minus the explained variance. In-sample values are also small for random walks; held-out and
        sister values are not.

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
    """Reconstruction error of another run by an embedding fitted to this one.

    This is exactly the error in R^P: the part of the other run outside this run's row space counts as error.

    Parameters
    ----------
    embedding : estimator
        Fitted to this run's row-space coordinates.
    other : OtherRun
        The other run in these coordinates.

    Returns
    -------
    float
        1 − R² ≥ 0, lower is better: 0 is best, 1 is the other run's own mean. Random walks score about 2 or more on
        their sisters.

    Raises
    ------
    InputError
        If all iterates of the other run are equal.
    """
    if not other.variance > 0:
        raise InputError(worded("other", "iterates that differ", f"variance {other.variance}"))
    lifted = embedding.inverse_transform(embedding.transform(other.X))
    lost = np.sum((other.X - lifted) ** 2) + np.sum(other.off_space)
    return float(lost / other.variance)
