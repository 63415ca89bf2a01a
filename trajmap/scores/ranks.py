"""Neighbour ranks of points, computed once and shared by the neighbourhood scores."""

import dataclasses
import functools

import numpy as np
from scipy.spatial.distance import cdist

from trajmap._validation import Array, check_count, worded
from trajmap.data.reduction import Reduction
from trajmap.errors import InputError

__all__ = ["Ranking", "distances_of", "neighbour_ranks", "ranking"]


@dataclasses.dataclass(frozen=True, eq=False)
class Ranking:
    """Neighbour ranks before and after a reduction.

    Parameters
    ----------
    before : numpy.ndarray of int, shape (n, n)
        Ranks among the points X; 0 for a pair that does not count.
    after : numpy.ndarray of int, shape (n, n)
        Ranks among the embedding Z.
    candidates : numpy.ndarray of int, shape (n,)
        Number of counted neighbours of each point.
    """

    before: Array
    after: Array
    candidates: Array

    def near(self, n_neighbors: int) -> tuple[Array, Array]:
        """Which pairs are among the k nearest, before and after."""
        return tuple((r > 0) & (r <= n_neighbors) for r in (self.before, self.after))  # type: ignore[return-value]


def neighbour_ranks(X: Array, *, theiler_window: int = 0) -> Array:
    """Rank of every point among the neighbours of every other.

    Parameters
    ----------
    X : numpy.ndarray, shape (n, r)
        The points, in time order if there is a window.
    theiler_window : int
        Exclude neighbours in time: pairs with |i − j| ≤ window (J. Theiler, 1986).

    Returns
    -------
    numpy.ndarray of int, shape (n, n)
        Entry (i, j) is 1 for the nearest neighbour of i, 0 for i itself and for excluded pairs. Equal distances are
        ranked in an arbitrary but repeatable order.

    Examples
    --------
    >>> neighbour_ranks(np.array([[0.0], [1.0], [3.0]])).tolist()
    [[0, 1, 2], [1, 0, 2], [2, 1, 0]]
    >>> neighbour_ranks(np.array([[0.0], [1.0], [3.0]]), theiler_window=1).tolist()
    [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    """
    return _ranks(cdist(X, X), theiler_window)


def ranking(reduction: Reduction, n_neighbors: int, theiler_window: int) -> tuple[int, Ranking]:
    """Check k and the window, and compute ranks; those of the last reduction are kept for its next score.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of neighbours that count.
    theiler_window : int
        Theiler window.

    Returns
    -------
    n_neighbors : int
        k.
    ranks : Ranking
        The ranks.

    Raises
    ------
    InputError
        If k or the window is too large, or a coordinate is not finite.
    """
    n = len(reduction.X)
    k, theiler_window = check_count("n_neighbors", n_neighbors), check_count("theiler_window", theiler_window, low=0)
    fewest = n - 1 - min(2 * theiler_window, n - 1)
    if theiler_window and not k < (fewest + 1) / 2:
        raise InputError(
            worded("theiler_window", f"fewer than {max((n - 2 * k - 1) // 2, 0)} steps of {n} points", theiler_window)
        )
    if not k < n / 2:
        raise InputError(worded("n_neighbors", f"less than half of the {n} points", k))
    for name, points in (("X", reduction.X), ("Z", reduction.Z)):
        if not np.isfinite(points).all():
            raise InputError(worded(name, "finite numbers", "NaN or inf"))
    return k, _ranked(reduction, theiler_window)


@functools.lru_cache(maxsize=2)
def distances_of(reduction: Reduction) -> tuple[Array, Array]:
    """Distances of all pairs before and after, shape (n, n) each; kept for the next score."""
    before, after = cdist(reduction.X, reduction.X), cdist(reduction.Z, reduction.Z)
    before.setflags(write=False)
    after.setflags(write=False)
    return before, after


@functools.lru_cache(maxsize=2)
def _ranked(reduction: Reduction, theiler_window: int) -> Ranking:
    before, after = (_ranks(distances, theiler_window) for distances in distances_of(reduction))
    n = len(before)
    i = np.arange(n)
    candidates = np.maximum(i - theiler_window, 0) + np.maximum(n - 1 - i - theiler_window, 0)
    return Ranking(before, after, candidates)


def _ranks(distances: Array, theiler_window: int) -> Array:
    n = len(distances)
    distances = distances.copy()
    # excluded pairs come first, even with duplicates, and their number is subtracted from the other ranks
    rows = np.arange(n)
    for gap in range(-theiler_window, theiler_window + 1):
        within = rows[max(0, -gap) : n - max(0, gap)]
        distances[within, within + gap] = -1
    order = distances.argsort(axis=1)
    ranks = np.empty((n, n), dtype=np.int32)
    counts = np.arange(n, dtype=np.int32)
    for row, places in zip(ranks, order, strict=True):
        row[places] = counts
    if theiler_window:
        ranks -= (np.minimum(rows, theiler_window) + np.minimum(n - 1 - rows, theiler_window)).astype(np.int32)[:, None]
        np.maximum(ranks, 0, out=ranks)
    return ranks
