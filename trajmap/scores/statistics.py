"""Statistics of a run's shape, each with its value for a random walk."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.base import clone

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.gram import principal_variances
from trajmap.data.kernel_sums import kernel_slopes
from trajmap.data.places import log_places
from trajmap.data.reduction import Reduction
from trajmap.errors import InputError
from trajmap.scores.dimension import participation_ratio

__all__ = [
    "STATISTICS",
    "kernel_dimension",
    "leading_share",
    "lissajous_index",
    "msd_exponent",
    "score_statistic",
    "step_cosine",
]


def leading_share(X: Array, *, n_components: int = 2) -> float:
    """Share of the variance in the first principal components.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Isometric coordinates of a run.
    n_components : int
        Number of components.

    Returns
    -------
    float
        In (0, 1]; 0.76 in two components for a long random walk in many dimensions.

    Examples
    --------
    >>> leading_share(np.outer(np.arange(9.0), [3.0, 4.0]))
    1.0
    """
    values = principal_variances(_centred(X))
    return min(float(values[: check_count("n_components", n_components)].sum() / values.sum()), 1.0)


def lissajous_index(X: Array, *, component: int = 1) -> float:
    """Correlation of a principal component with the cosine of a random walk: cos(kπ(t + ½)/T).

    Parameters
    ----------
    X : array-like, shape (T, r)
        Isometric coordinates of a run.
    component : int
        k, from 1 on.

    Returns
    -------
    float
        In [0, 1]; near 1 for a random walk, so a value near 1 means that the shape is no evidence.

    Raises
    ------
    InputError
        If there are fewer components.

    References
    ----------
    J. Antognini, J. Sohl-Dickstein, PCA of high dimensional random walks, 2018.

    Examples
    --------
    >>> t = np.arange(50) + 0.5
    >>> round(lissajous_index(np.cos(np.pi * t / 50)[:, None]), 9)
    1.0
    """
    left, values, _ = np.linalg.svd(_centred(X), full_matrices=False)
    k = check_count("component", component)
    if k > len(values) or not values[k - 1] > 1e-12 * values[0]:
        raise InputError(worded("component", f"at most {int(np.sum(values > 1e-12 * values[0]))}", k))
    wave = np.cos(k * np.pi * (np.arange(len(left)) + 0.5) / len(left))
    return float(abs(np.corrcoef(left[:, k - 1], wave)[0, 1]))


def msd_exponent(X: Array) -> float:
    """Exponent of the mean squared displacement with time, ⟨‖x_{t+τ} − x_t‖²⟩ ~ τ^α, over lags up to T/4.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Isometric coordinates of a run.

    Returns
    -------
    float
        2 for a straight path at constant speed, 1 for a random walk with equal steps, 0 when confined.

    Examples
    --------
    >>> round(msd_exponent(np.outer(np.arange(40.0), [1.0, 2.0])), 9)
    2.0
    """
    X = _centred(X)
    lags = log_places(1, max(len(X) // 4, 2), 12)
    displacement = [np.mean(np.sum((X[lag:] - X[:-lag]) ** 2, axis=1)) for lag in lags]
    slope, _ = np.polyfit(np.log(lags), np.log(displacement), 1)
    return float(slope)


def step_cosine(X: Array, *, lag: int = 1) -> float:
    """Mean cosine of the angle between steps `lag` apart.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Isometric coordinates of a run.
    lag : int
        Lag in steps.

    Returns
    -------
    float
        In [−1, 1]: 1 for a straight path, 0 for a random walk, negative if the optimizer oscillates across a valley.

    Examples
    --------
    >>> step_cosine(np.array([[0.0], [1.0], [0.0], [1.0]]))
    -1.0
    """
    steps = np.diff(_centred(X), axis=0)
    lag = check_count("lag", lag, high=len(steps) - 1)
    norms = np.linalg.norm(steps, axis=1)
    units = steps / np.where(norms > 0, norms, 1.0)[:, None]
    return float(np.mean(np.sum(units[lag:] * units[:-lag], axis=1)))


def kernel_dimension(X: Array) -> float:
    """Kernel dimension: twice the largest slope of log Σ exp(−d²/4ε) against log ε.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Isometric coordinates of a run.

    Returns
    -------
    float
        The dimension in a diffusion map: 1 for a line, 2 for a square and for a random walk.

    References
    ----------
    R. Coifman, Y. Shkolnisky, F. Sigworth, A. Singer, Graph Laplacian tomography from unknown random projections,
    2008.

    Examples
    --------
    >>> round(kernel_dimension(np.linspace(0, 1, 400)[:, None]), 1)
    1.0
    """
    X = _centred(X)
    return 2 * float(kernel_slopes(pdist(X, "sqeuclidean"), len(X))[0].max())


def score_statistic(embedding: Any, score: Callable[[Reduction], float]) -> Callable[[Array], float]:
    """Make a statistic from a score: it fits a clone of the embedding to the run and scores it.

    Parameters
    ----------
    embedding : estimator
        An embedding with ``transform`` and ``inverse_transform``.
    score : callable
        ``score(reduction) -> float``.

    Returns
    -------
    callable
        ``statistic(X) -> float``.
    """
    return lambda X: score(Reduction.of(clone(embedding).fit(X), X))


STATISTICS: dict[str, Callable[[Array], float]] = {
    "variance in two components": leading_share,
    "participation ratio": participation_ratio,
    "Lissajous index": lissajous_index,
    "displacement exponent": msd_exponent,
    "cosine of successive steps": step_cosine,
    "kernel dimension": kernel_dimension,
}


def _centred(X: Array) -> Array:
    X = check_array("X", X, (None, None), dtype=np.float64)
    centred: Array = X - X.mean(axis=0)
    if not np.any(centred):
        raise InputError(worded("X", "points that differ", "equal ones"))
    return centred
