"""Whether an embedding preserves the distances between points and their time order."""

import numpy as np
from scipy.sparse.csgraph import dijkstra
from scipy.stats import rankdata
from sklearn.neighbors import kneighbors_graph

from trajmap._validation import check_count, worded
from trajmap.data.reduction import Reduction
from trajmap.errors import InputError
from trajmap.scores.ranks import distances_of

__all__ = ["path_order", "shepard_correlation", "stress"]


def shepard_correlation(reduction: Reduction) -> float:
    """Correlation of the distances of all pairs before and after the embedding (Pearson's, of the Shepard diagram).

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.

    Returns
    -------
    float
        In [−1, 1], 1 best; about 0 for a random embedding; above .95 for a random walk's own PCA.

    Raises
    ------
    InputError
        If all distances are equal.

    References
    ----------
    J. de Leeuw, P. Mair, Shepard diagram, 2015.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> round(shepard_correlation(Reduction(X, 3 * X, X)), 12)
    1.0
    """
    before, after = distances_of(reduction)
    n = len(before) * (len(before) - 1)
    mean_before, mean_after = before.sum() / n, after.sum() / n
    pairs = ((before, mean_before), (after, mean_after))
    spread = [float(np.vdot(d, d)) / n - mean**2 for d, mean in pairs]
    if not all(s > 1e-14 * mean**2 for s, (_, mean) in zip(spread, pairs, strict=True)):
        raise InputError(worded("reduction", "distances that differ", "equal ones"))
    return float((np.vdot(before, after) / n - mean_before * mean_after) / np.sqrt(spread[0] * spread[1]))


def stress(reduction: Reduction) -> float:
    """Kruskal's stress-1 at the best common scale: √(Σ (d − c δ)² / Σ d²).

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.

    Returns
    -------
    float
        In [0, 1], 0 best; independent of the embedding's overall scale.

    Raises
    ------
    InputError
        If all points agree.

    References
    ----------
    J. Kruskal, Multidimensional scaling by optimizing goodness of fit to a nonmetric hypothesis, 1964.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> stress(Reduction(X, 3 * X, X))
    0.0
    """
    before, after = distances_of(reduction)
    total, square = float(np.vdot(before, before)), float(np.vdot(after, after))
    if not total > 0:
        raise InputError(worded("X", "points that differ", "equal ones"))
    explained = float(np.vdot(before, after)) ** 2 / (square * total) if square > 0 else 0.0
    remainder = 1 - explained
    return float(np.sqrt(remainder)) if remainder > 1e-15 else 0.0


def path_order(reduction: Reduction, *, n_neighbors: int = 8) -> float:
    """Measure whether the embedding preserves time order, along its neighbour graph from the first point.

    It is the Spearman correlation of time with the graph distance from the first point in the embedding.

    Parameters
    ----------
    reduction : Reduction
        Points in time order, and their embedding.
    n_neighbors : int
        Neighbours in the graph; its separate pieces are linked through successive points.

    Returns
    -------
    float
        In [−1, 1], 1 best; about 0 for a random embedding. Near 1 for random walks too.

    Raises
    ------
    InputError
        If the number of points does not exceed the number of neighbours.

    Examples
    --------
    >>> t = np.linspace(0, 5, 30)
    >>> spiral = np.stack([t * np.cos(t), t * np.sin(t)], axis=1)
    >>> path_order(Reduction(spiral, spiral, spiral), n_neighbors=3) > 0.99
    True
    """
    Z = reduction.Z
    n = len(Z)
    k = check_count("n_neighbors", n_neighbors)
    if k >= n:
        raise InputError(worded("n_neighbors", f"less than the {n} points", k))
    graph = kneighbors_graph(Z, k, mode="distance").tolil()
    hops = dijkstra(graph.tocsr(), directed=False, indices=0)
    if not np.isfinite(hops).all():
        for i in range(n - 1):
            graph[i, i + 1] = max(float(np.linalg.norm(Z[i + 1] - Z[i])), 1e-300)
        hops = dijkstra(graph.tocsr(), directed=False, indices=0)
    if not hops.std() > 0:
        return 0.0
    return float(np.corrcoef(rankdata(hops), np.arange(n))[0, 1])
