"""Bandwidths of a Gaussian kernel exp(−d²/4ε): rules to choose ε, and variable bandwidths.

A rule is a function of the points that returns ε in units of squared distance; `DiffusionMap` takes one as `epsilon`.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.neighbors import NearestNeighbors

from trajmap._validation import Array, check_count, check_positive, worded
from trajmap.data.kernel_sums import kernel_slopes
from trajmap.data.results.kernel_slope import KernelSlope
from trajmap.errors import InputError

__all__ = [
    "Rule",
    "berry_giannakis_harlim",
    "connecting_distance",
    "kernel_slope",
    "local_scales",
    "median_distance",
    "neighbour_distance",
]

Rule = Callable[[Array], float]


def connecting_distance(X: Array, *, n_neighbors: int = 4, squares: Array | None = None) -> float:
    """Choose the smallest ε that keeps the points connected and reaches the neighbours of each.

    ε is a quarter of the larger of two squared distances, so that the kernel is 1/e there. The first is the longest
    edge of the minimum spanning tree: a smaller ε would disconnect a run with shrinking steps where its steps are
    large. The second is the root mean square distance to the 4th neighbour: a smaller ε would reduce a regular grid
    nearly to a chain. Rules that use all distances, such as `berry_giannakis_harlim`, may find the extent of a curved
    sheet instead of its spacing, and connect the turns of a roll.

    Parameters
    ----------
    X : array-like, shape (n, r)
        The points.
    n_neighbors : int
        Rank of the neighbour.
    squares : numpy.ndarray, shape (n, n), optional
        Their squared distances, if known; otherwise computed row by row.

    Returns
    -------
    float
        ε.

    Examples
    --------
    >>> connecting_distance(np.array([[0.0], [1.0], [2.0], [6.0]]), n_neighbors=1)
    4.0
    """
    n = len(X)
    k = min(check_count("n_neighbors", n_neighbors), n - 1)
    nearest, near = np.full(n, np.inf), np.empty(n)
    place, longest = 0, 0.0
    for _ in range(n):  # Prim's algorithm: the point nearest to the tree joins it
        row = cdist(X[place : place + 1], X, "sqeuclidean")[0] if squares is None else squares[place]
        near[place] = np.partition(row, k)[k]
        np.minimum(nearest, row, out=nearest, where=nearest >= 0)
        nearest[place] = -1.0
        waiting = np.where(nearest >= 0, nearest, np.inf)
        place = int(waiting.argmin())
        longest = max(longest, float(waiting[place])) if np.isfinite(waiting[place]) else longest
    return max(longest, float(near.mean())) / 4


def berry_giannakis_harlim(X: Array) -> float:
    """Maximise the slope of the kernel sum over powers of two (pydiffmap's rule), and keep the graph connected.

    On runs with shrinking steps the rule may choose the scale of the smallest steps and disconnect the graph, so ε is
    at least that of `connecting_distance`.

    Parameters
    ----------
    X : array-like, shape (n, r)
        The points.

    Returns
    -------
    float
        ε.

    References
    ----------
    T. Berry, D. Giannakis, J. Harlim, Nonparametric forecasting of low-dimensional dynamical systems, 2015.

    Examples
    --------
    >>> line = np.linspace(0, 1, 200)[:, None]
    >>> round(berry_giannakis_harlim(10 * line) / berry_giannakis_harlim(line), 6)
    100.0
    """
    from pydiffmap.kernel import choose_optimal_epsilon_BGH

    unit = float(np.sum((X - X.mean(axis=0)) ** 2) / len(X))
    # the rule needs sums only up to a factor, so each pair enters once and each point with itself by one half
    repeats = 1 + len(X) % 2
    squares = np.tile(pdist(X, "sqeuclidean") / unit, repeats)
    squares = np.concatenate([squares, np.zeros(repeats * len(X) // 2)])
    # in units of the variance not all of the rule's 81 powers of two are needed
    chosen, _ = choose_optimal_epsilon_BGH(squares, 2.0 ** np.arange(-24, 7))
    return max(float(chosen) * unit, connecting_distance(X, n_neighbors=1))


def median_distance(multiple: float = 0.1) -> Rule:
    """Choose ε as a multiple of the squared median distance.

    Parameters
    ----------
    multiple : float
        The multiple.

    Returns
    -------
    callable
        The rule.

    Examples
    --------
    >>> median_distance(0.5)(np.array([[0.0], [1.0], [3.0]]))
    2.0
    """
    check_positive("multiple", multiple)
    return lambda X: multiple * float(np.median(pdist(X))) ** 2


def neighbour_distance(n_neighbors: int = 10) -> Rule:
    """Choose ε as the mean squared distance to the k-th neighbour.

    Parameters
    ----------
    n_neighbors : int
        k.

    Returns
    -------
    callable
        The rule.

    Examples
    --------
    >>> neighbour_distance(1)(np.array([[0.0], [1.0], [2.0]]))
    1.0
    """
    k = check_count("n_neighbors", n_neighbors)
    return lambda X: float(np.mean(_kth_distance(X, k) ** 2))


def local_scales(X: Array, n_neighbors: int) -> Array:
    """Distance of each point to its k-th neighbour, divided by the geometric mean; above 1 if points are sparse.

    With these, the kernel exp(−d_ij²/(4 ε σ_i σ_j)) adapts to the density (self-tuned).

    Parameters
    ----------
    X : numpy.ndarray, shape (n, r)
        The points.
    n_neighbors : int
        k.

    Returns
    -------
    numpy.ndarray, shape (n,)
        σ.

    Raises
    ------
    InputError
        If a point coincides with its k-th neighbour, or has fewer than k neighbours.

    References
    ----------
    L. Zelnik-Manor, P. Perona, Self-tuning spectral clustering, 2004.

    Examples
    --------
    >>> local_scales(np.array([[0.0], [1.0], [2.0]]), 1).tolist()
    [1.0, 1.0, 1.0]
    """
    distances = _kth_distance(X, n_neighbors)
    if not distances.min() > 0:
        got = f"{int(np.sum(distances == 0))} that coincide with {n_neighbors} others"
        raise InputError(worded("X", "points with distinct neighbours", got, "more neighbours, or a fixed bandwidth"))
    return distances / np.exp(np.mean(np.log(distances)))


def kernel_slope(X: Array) -> KernelSlope:
    """Estimate dimension and bandwidth from the kernel sum: d = 2 max d log S/d log ε.

    Parameters
    ----------
    X : array-like, shape (n, r)
        The points.

    Returns
    -------
    KernelSlope
        Dimension and bandwidth.

    References
    ----------
    R. Coifman, Y. Shkolnisky, F. Sigworth, A. Singer, Graph Laplacian tomography from unknown random projections,
    2008.

    Examples
    --------
    >>> round(kernel_slope(np.linspace(0, 1, 400)[:, None]).dimension, 1)
    1.0
    """
    slopes, epsilons = kernel_slopes(pdist(X, "sqeuclidean"), len(X))
    best = int(slopes.argmax())
    return KernelSlope(2 * float(slopes[best]), float(np.sqrt(epsilons[best] * epsilons[best + 1])))


def _kth_distance(X: Array, k: int) -> Array:
    if k >= len(X):
        raise InputError(worded("n_neighbors", f"less than the {len(X)} points", k, "request fewer neighbours"))
    distances, _ = NearestNeighbors(n_neighbors=k + 1, algorithm="kd_tree").fit(X).kneighbors(X)
    return distances[:, k]
