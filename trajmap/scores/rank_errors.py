"""Mean relative rank errors: changes of the neighbours' ranks."""

import numpy as np

from trajmap._validation import Array
from trajmap.data.reduction import Reduction
from trajmap.scores.ranks import ranking

__all__ = ["rank_error_after", "rank_error_before"]


def rank_error_before(reduction: Reduction, *, n_neighbors: int = 5, theiler_window: int = 0) -> float:
    """Mean relative rank error over the neighbours among the points.

    MRRE = Σ_i Σ_{j: r(i,j) ≤ k} |r(i, j) − ρ(i, j)| / r(i, j), over its value when ranks are reversed, with r the
    rank before and ρ the rank in the embedding.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.
    theiler_window : int
        Theiler window: neighbours in time, |i − j| ≤ window, do not count.

    Returns
    -------
    float
        In [0, 1], 0 best; about ½ for a random embedding. Small for random walks too.

    Raises
    ------
    InputError
        If k is too large or a coordinate is not finite.

    References
    ----------
    J. Lee, M. Verleysen, Quality assessment of dimensionality reduction: rank-based criteria, 2009.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> rank_error_before(Reduction(X, X, X), n_neighbors=2)
    0.0
    """
    k, ranks = ranking(reduction, n_neighbors, theiler_window)
    return _relative(ranks.before, ranks.after, ranks.candidates, k)


def rank_error_after(reduction: Reduction, *, n_neighbors: int = 5, theiler_window: int = 0) -> float:
    """Mean relative rank error over the neighbours in the embedding.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.
    theiler_window : int
        Theiler window: neighbours in time, |i − j| ≤ window, do not count.

    Returns
    -------
    float
        In [0, 1], 0 best; about ½ for a random embedding.

    Raises
    ------
    InputError
        If k is too large or a coordinate is not finite.

    References
    ----------
    J. Lee, M. Verleysen, Quality assessment of dimensionality reduction: rank-based criteria, 2009.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> rank_error_after(Reduction(X, X, X), n_neighbors=2)
    0.0
    """
    k, ranks = ranking(reduction, n_neighbors, theiler_window)
    return _relative(ranks.after, ranks.before, ranks.candidates, k)


def _relative(own: Array, other: Array, candidates: Array, k: int) -> float:
    near = (own > 0) & (own <= k)
    error = (np.abs(own[near] - other[near]) / own[near]).sum()
    places = np.arange(1, k + 1)
    reversed_ranks = np.abs(candidates[:, None] - 2 * places + 1) / places
    return float(error / reversed_ranks.sum())
