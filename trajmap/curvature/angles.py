"""Angles between two subspaces of R^P, and between random ones."""

import numpy as np
import scipy.linalg
import scipy.stats

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.gram import column_blocks
from trajmap.errors import InputError

__all__ = ["orthonormal_rows", "overlap", "overlap_baseline", "principal_angles", "share"]

QUANTILES = (0.05, 0.5, 0.95)


def orthonormal_rows(name: str, A: Array) -> Array:
    """Orthonormal basis of the span of some rows.

    Parameters
    ----------
    name : str
        The user's name of the rows.
    A : array-like, shape (d, P)
        Linearly independent rows.

    Returns
    -------
    numpy.ndarray, shape (d, P)
        Orthonormal rows, float64.

    Raises
    ------
    InputError
        If the rows are linearly dependent or not finite.
    """
    A = check_array(name, A, (None, None), dtype=np.float64)
    if not np.isfinite(A).all():
        raise InputError(worded(name, "finite numbers", "NaN or inf"))
    norms = np.linalg.norm(A, axis=1, keepdims=True)
    Q, R = np.linalg.qr((A / np.where(norms == 0, 1, norms)).T)
    if A.shape[0] > A.shape[1] or np.abs(np.diag(R)).min() < 1e-12:
        raise InputError(worded(name, "linearly independent rows", "dependent ones"))
    return Q.T


def principal_angles(A: Array, B: Array) -> Array:
    """Principal angles between the spans of two sets of rows.

    Parameters
    ----------
    A, B : array-like, shapes (dA, P) and (dB, P)
        Linearly independent rows; they need not be orthonormal.

    Returns
    -------
    numpy.ndarray, shape (min(dA, dB),)
        Radians in [0, π/2], ascending; 0 for a common direction. Small angles are accurate.

    Raises
    ------
    InputError
        If rows are dependent, or the spaces differ.

    References
    ----------
    Å. Björck, G. Golub, Numerical methods for computing angles between linear subspaces, 1973.

    Examples
    --------
    >>> principal_angles([[1.0, 0, 0]], [[1.0, 1, 0]]).round(6)
    array([0.785398])
    """
    Q_A, Q_B = orthonormal_rows("A", A), orthonormal_rows("B", B)
    if Q_A.shape[1] != Q_B.shape[1]:
        raise InputError(worded("B", f"rows of length {Q_A.shape[1]}", f"length {Q_B.shape[1]}"))
    angles: Array = scipy.linalg.subspace_angles(Q_A.T, Q_B.T)
    return angles[::-1]


def overlap(A: Array, B: Array) -> float:
    """Mean squared cosine of the principal angles between two spans.

    Parameters
    ----------
    A, B : array-like, shapes (dA, P) and (dB, P)
        Linearly independent rows.

    Returns
    -------
    float
        ‖Q_A Q_Bᵀ‖²/min(dA, dB), in [0, 1]: 1 if one contains the other, 0 if they are orthogonal, max(dA, dB)/P on
        average for random ones; see `overlap_baseline`.

    Raises
    ------
    InputError
        As for `principal_angles`.

    Examples
    --------
    >>> round(overlap([[1.0, 0, 0]], [[1.0, 1, 0], [0, 0, 1]]), 12)
    0.5
    """
    return float(np.mean(np.cos(principal_angles(A, B)) ** 2))


def share(basis: Array, vector: Array) -> float:
    """Share of a vector's squared norm inside the span of orthonormal rows, in [0, 1]; NaN for a zero vector."""
    squares, inside = 0.0, np.zeros(len(basis))
    for columns in column_blocks(len(vector), 2**16):
        part = np.asarray(vector[columns], dtype=np.float64)
        squares += float(part @ part)
        inside += np.asarray(basis[:, columns], dtype=np.float64) @ part
    return float(np.sum(inside**2) / squares) if squares else float("nan")


def overlap_baseline(d: int, k: int, size: int, *, n_draws: int = 2000, random_state: int = 0) -> Array:
    """Quantiles of the overlap of a random d-dimensional subspace with a fixed k-dimensional one.

    For d = 1 they are exactly those of Beta(k/2, (P − k)/2); for d > 1 they are simulated from the joint distribution
    of the two blocks of a Gaussian matrix, at a cost independent of P.

    Parameters
    ----------
    d : int
        Dimension of the random subspace, ≤ k.
    k : int
        Dimension of the fixed one.
    size : int
        P ≥ d + k.
    n_draws : int
        Draws for d > 1.
    random_state : int
        Seed.

    Returns
    -------
    numpy.ndarray, shape (3,)
        5 %, 50 % and 95 % quantiles; the mean is k/P.

    Raises
    ------
    InputError
        If the dimensions do not fit.

    Examples
    --------
    >>> overlap_baseline(1, 10, 1000).round(4).tolist()
    [0.004, 0.0094, 0.0182]
    """
    check_count("d", d)
    check_count("k", k, low=d)
    check_count("size", size, low=d + k)
    if d == 1:
        return scipy.stats.beta(k / 2, (size - k) / 2).ppf(QUANTILES)
    rng = np.random.default_rng(random_state)
    draws = np.empty(n_draws)
    for i in range(n_draws):
        inside = rng.standard_normal((d, k))
        # G Gᵀ of the P − k other coordinates is a Wishart matrix: Bartlett's triangular factor replaces them
        rest = np.tril(rng.standard_normal((d, d)), -1)
        rest[np.diag_indices(d)] = np.sqrt(rng.chisquare(size - k - np.arange(d)))
        within = inside @ inside.T
        draws[i] = np.trace(np.linalg.solve(within + rest @ rest.T, within)) / d
    return np.quantile(draws, QUANTILES)
