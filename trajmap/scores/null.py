"""Random walks with a run's own step norms, the reference for all scores.

A walk's iterates are sums of its increments, so their centred Gram matrix is C L K Lᵀ Cᵀ with the increments' Gram
matrix K, the summation L and the centring C. For isotropic Gaussian increments in R^P, K is a Wishart matrix and is
drawn by Bartlett's decomposition: the cost of a surrogate is O(T³), independent of P.
"""

from typing import Any

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.gram import principal_variances
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.errors import InputError

__all__ = [
    "explained_variance",
    "isotropic_rows",
    "isotropic_steps",
    "random_walk",
    "random_walk_ratios",
    "signed_steps",
    "step_norms",
]


def random_walk_ratios(n_components: int) -> Array:
    """Explained variance of an infinitely long random walk in infinitely many dimensions: 6/(π²k²).

    Parameters
    ----------
    n_components : int
        Number of components.

    Returns
    -------
    numpy.ndarray, shape (n_components,)
        Shares of the mean-centred variance.

    References
    ----------
    J. Antognini, J. Sohl-Dickstein, PCA of high dimensional random walks with comparison to neural network
    training, 2018.

    Examples
    --------
    >>> random_walk_ratios(3).round(4).tolist()
    [0.6079, 0.152, 0.0675]
    """
    k = np.arange(1, check_count("n_components", n_components) + 1)
    return 6 / (np.pi * k) ** 2


def step_norms(X: Array) -> Array:
    """Distances between successive points, shape (T − 1,); exact on row-space coordinates."""
    return np.linalg.norm(np.diff(X, axis=0), axis=1)


def random_walk(norms: Array, size: int, *, n_walks: int = 1, random_state: Any = 0) -> Array:
    """Isometric coordinates of random walks in R^size that start together, with given step norms.

    Parameters
    ----------
    norms : array-like, shape (T − 1,)
        Length of each step, kept exactly; directions are isotropic and independent.
    size : int
        P, the dimension of the walk.
    n_walks : int
        Number of walks with the same start and the same step norms.
    random_state : int or numpy.random.Generator
        Seed.

    Returns
    -------
    numpy.ndarray, shape (n_walks·T, r)
        The walks stacked by rows, centred at the mean of the first.

    Raises
    ------
    InputError
        If a norm is negative or not finite.

    Examples
    --------
    >>> X = random_walk([1.0, 2.0, 3.0], 10_000)
    >>> step_norms(X).round(9).tolist()
    [1.0, 2.0, 3.0]
    """
    norms = check_array("norms", norms, (None,), dtype=np.float64)
    check_count("size", size)
    if not len(norms) or not np.isfinite(norms).all() or (norms < 0).any():
        raise InputError(worded("norms", "at least one finite length ≥ 0", norms))
    rng = np.random.default_rng(random_state)
    increments = isotropic_steps(rng, np.tile(norms, n_walks), size)
    start = np.zeros((1, increments.shape[1]))
    walks = [np.vstack([start, np.cumsum(part, axis=0)]) for part in np.split(increments, n_walks)]
    points = np.vstack(walks)
    return points - walks[0].mean(axis=0)


def explained_variance(
    X: Array, *, size: int, n_components: int = 5, n_draws: int = 20, random_state: int = 0
) -> VarianceSpectrum:
    """Explained variance of a run's principal components, compared with random walks.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Row-space coordinates of the run.
    size : int
        P.
    n_components : int
        Components to report.
    n_draws : int
        Simulated walks with the run's T, P and step norms.
    random_state : int
        Seed of the walks.

    Returns
    -------
    VarianceSpectrum
        Shares of the mean-centred variance: theoretical, simulated and of the run.

    Raises
    ------
    InputError
        If a coordinate is not finite.

    References
    ----------
    J. Antognini, J. Sohl-Dickstein, PCA of high dimensional random walks with comparison to neural network
    training, 2018.

    Examples
    --------
    >>> line = np.outer(np.arange(30.0), [1.0, 0.0])
    >>> explained_variance(line, size=1000).ratios.round(6).tolist()[:2]
    [1.0, 0.0]
    """
    X = check_array("X", X, (None, None), dtype=np.float64)
    check_count("n_draws", n_draws)
    if not np.isfinite(X).all():
        raise InputError(worded("X", "finite numbers", "NaN or inf"))
    k = min(check_count("n_components", n_components), len(X) - 1)
    norms = step_norms(X)
    rng = np.random.default_rng(random_state)
    null = [_ratios(random_walk(norms, size, random_state=rng), k) for _ in range(n_draws)]
    return VarianceSpectrum(_ratios(X, k), random_walk_ratios(k), np.array(null))


def _ratios(X: Array, k: int) -> Array:
    values = principal_variances(X)
    ratios = np.zeros(k)
    ratios[: min(k, len(values))] = values[:k] / values.sum()
    return ratios


def isotropic_steps(rng: np.random.Generator, norms: Array, size: int) -> Array:
    """Draw steps in R^size with given norms and independent directions, in at most as many coordinates as steps."""
    rows = isotropic_rows(rng, len(norms), size)
    return rows * (norms / np.linalg.norm(rows, axis=1))[:, None]


def signed_steps(rng: np.random.Generator, steps: Array) -> Array:
    """Take each step forwards or backwards at random: norms and covariance are kept, a drift is removed."""
    return steps * rng.choice([-1.0, 1.0], size=(len(steps), 1))


def isotropic_rows(rng: np.random.Generator, n: int, size: int) -> Array:
    """Rows with the joint inner products of n Gaussian vectors of R^size, in at most n coordinates."""
    if size <= n:
        return rng.normal(size=(n, size))
    # Bartlett: A Aᵀ is Wishart for lower triangular A with chi on the diagonal
    A = np.tril(rng.normal(size=(n, n)), -1)
    A[np.diag_indices(n)] = np.sqrt(rng.chisquare(size - np.arange(n)))
    return A
