"""Intrinsic dimension of a cloud of points in time order.

Repeated points, as in a run at rest, give no information about a dimension, and their distance has no logarithm.
Estimators based on neighbours therefore use each point once, at its first time.
"""

import numpy as np
from scipy.spatial.distance import cdist

from trajmap._validation import Array, check_array, check_count, check_fraction, worded
from trajmap.data.gram import principal_variances
from trajmap.data.places import log_places
from trajmap.errors import InputError

__all__ = ["correlation_dimension", "likelihood_dimension", "participation_ratio", "two_nn_dimension"]


def participation_ratio(X: Array) -> float:
    """Effective number of principal components, (Σλ)²/Σλ².

    Parameters
    ----------
    X : array-like, shape (n, r)
        The points.

    Returns
    -------
    float
        Between 1 and the rank. It is 2.5 for a long random walk in many dimensions, so a small value is no evidence.

    Raises
    ------
    InputError
        If all points are equal.

    Examples
    --------
    >>> round(participation_ratio(np.vstack([np.eye(3), -np.eye(3)])), 9)
    3.0
    """
    X = check_array("X", X, (None, None), dtype=np.float64)
    values = principal_variances(X)
    if not values.sum() > 0:
        raise InputError(worded("X", "points that differ", "equal ones"))
    return float(values.sum() ** 2 / np.sum(values**2))


def correlation_dimension(X: Array, *, theiler_window: int = 0, lower: float = 0.02, upper: float = 0.2) -> float:
    """Correlation dimension, the slope of the number of close pairs against their distance: C(ε) ~ ε^d.

    Parameters
    ----------
    X : array-like, shape (n, r)
        Points in time order; of equal ones the first is kept.
    theiler_window : int
        Theiler window: pairs with |i − j| ≤ window are omitted. Without it a smooth run has dimension 1, because
        successive points lie on a curve.
    lower, upper : float
        The slope is taken between these quantiles of the distances.

    Returns
    -------
    float
        The dimension; 2 for a Brownian path. The largest detectable value is about 2 log₁₀ n.

    Raises
    ------
    InputError
        If the window leaves too few pairs.

    References
    ----------
    P. Grassberger, I. Procaccia, 1983; J. Theiler, Spurious dimension from correlation algorithms, 1986.

    Examples
    --------
    >>> square = np.random.default_rng(0).uniform(size=(800, 2))
    >>> round(correlation_dimension(square))
    2
    """
    check_fraction("lower", lower)
    check_fraction("upper", upper)
    distances = np.sort(_pairs(X, theiler_window))
    n = len(distances)
    places = log_places(max(lower * n, 1), max(upper * n, 1), 40) - 1
    places = places[places < n]
    if len(places) < 5:
        raise InputError(worded("X", "enough pairs of distinct points", f"{n} pairs", "a smaller window"))
    slope, _ = np.polyfit(np.log(distances[places]), np.log(places + 1), 1)
    return float(slope)


def likelihood_dimension(X: Array, *, n_neighbors: int = 20, theiler_window: int = 0) -> float:
    """Maximum-likelihood dimension from the distances to the k nearest neighbours, with MacKay's averaging.

    Parameters
    ----------
    X : array-like, shape (n, r)
        Points in time order; of equal ones the first is kept.
    n_neighbors : int
        k.
    theiler_window : int
        Theiler window.

    Returns
    -------
    float
        The dimension.

    Raises
    ------
    InputError
        If there are too few distinct points, or all neighbours are equally far.

    References
    ----------
    E. Levina, P. Bickel, Maximum likelihood estimation of intrinsic dimension, 2004.

    Examples
    --------
    >>> square = np.random.default_rng(0).uniform(size=(800, 2))
    >>> round(likelihood_dimension(square))
    2
    """
    near = _nearest(X, check_count("n_neighbors", n_neighbors, low=3), theiler_window)
    return _inverse(np.log(near[:, -1:] / near[:, :-1]).sum(axis=1) / (near.shape[1] - 2))


def two_nn_dimension(X: Array, *, theiler_window: int = 0) -> float:
    """Dimension from the ratio of the distances to the two nearest neighbours.

    Without a Theiler window it is useless on time-ordered points: the two nearest points are the previous and the next
    step, and their ratio only measures changes of speed.

    Parameters
    ----------
    X : array-like, shape (n, r)
        Points in time order; of equal ones the first is kept.
    theiler_window : int
        Theiler window.

    Returns
    -------
    float
        The dimension, by the maximum-likelihood form n / Σ log(r₂/r₁).

    Raises
    ------
    InputError
        If there are too few distinct points, or all neighbours are equally far.

    References
    ----------
    E. Facco, M. d'Errico, A. Rodriguez, A. Laio, Estimating the intrinsic dimension of datasets by a minimal
    neighborhood information, 2017.

    Examples
    --------
    >>> square = np.random.default_rng(0).uniform(size=(800, 2))
    >>> round(two_nn_dimension(square))
    2
    """
    near = _nearest(X, 2, theiler_window)
    return _inverse(np.log(near[:, 1] / near[:, 0]))


def _inverse(logs: Array) -> float:
    if not logs.mean() > 0:
        raise InputError(worded("X", "neighbours at different distances", "all at the same, as on a regular grid"))
    return float(1 / logs.mean())


def _masked(X: Array, theiler_window: int) -> Array:
    """Distances of distinct points, infinite within the window."""
    X = check_array("X", X, (None, None), dtype=np.float64)
    times = np.sort(np.unique(X, axis=0, return_index=True)[1])
    distances = cdist(X[times], X[times])
    near = np.abs(np.subtract.outer(times, times)) <= check_count("theiler_window", theiler_window, low=0)
    distances[near] = np.inf
    return distances


def _pairs(X: Array, theiler_window: int) -> Array:
    distances = _masked(X, theiler_window)
    upper = distances[np.triu_indices(len(distances), 1)]
    return upper[np.isfinite(upper)]


def _nearest(X: Array, k: int, theiler_window: int) -> Array:
    distances = _masked(X, theiler_window)
    fewest = int(np.isfinite(distances).sum(axis=1).min(initial=len(distances)))
    if fewest < k:
        got = f"{theiler_window}, which leaves {fewest} of {len(distances)} distinct points"
        raise InputError(worded("theiler_window", f"one that leaves {k} neighbours a point", got))
    return np.sort(distances, axis=1)[:, :k]
