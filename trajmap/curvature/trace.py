"""The trace of a symmetric operator from its products, with an error estimate."""

import dataclasses
from collections.abc import Callable

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.curvature.operators import Product
from trajmap.data.eigenspace import Eigenspace

__all__ = ["TraceEstimate", "deflated_trace", "hutchinson", "hutchpp", "xtrace"]


@dataclasses.dataclass(frozen=True)
class TraceEstimate:
    """An estimate of tr A.

    Parameters
    ----------
    value : float
        The estimate.
    error : float
        Its standard error, estimated from the same products.
    n_products : int
        Products spent.
    """

    value: float
    error: float
    n_products: int

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g}"


def hutchinson(product: Product, size: int, *, n_products: int = 30, random_state: int = 0) -> TraceEstimate:
    """Estimate the trace by random signs: the mean of vᵀAv.

    Parameters
    ----------
    product : callable
        v ↦ Av.
    size : int
        P.
    n_products : int
        Products to spend, at least 2.
    random_state : int
        Seed.

    Returns
    -------
    TraceEstimate
        Unbiased, variance 2 Σ_{i≠j} A_ij² / n.

    References
    ----------
    M. Hutchinson, 1990.

    Examples
    --------
    >>> hutchinson(lambda v: 3 * v, 10, n_products=2).value
    30.0
    """
    n = check_count("n_products", n_products, low=2)
    found = [float(v @ product(v)) for v in _signs(size, n, random_state)]
    return TraceEstimate(float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(n)), n)


def deflated_trace(
    product: Product, size: int, space: Eigenspace, *, n_products: int = 12, random_state: int = 0
) -> TraceEstimate:
    """Estimate the trace with a known eigenspace taken out: Σλ exactly, and random signs for the rest.

    Parameters
    ----------
    product : callable
        v ↦ Av.
    size : int
        P.
    space : Eigenspace
        Known pairs; those of largest magnitude take most of the variance with them.
    n_products : int
        Products to spend, at least 2.
    random_state : int
        Seed.

    Returns
    -------
    TraceEstimate
        Unbiased for any orthonormal vectors, eigenvectors or not.
    """
    n = check_count("n_products", n_products, low=2)
    V = space.eigenvectors
    known = float(np.sum(space.eigenvalues))
    found = []
    for v in _signs(size, n, random_state):
        rest = v - (v @ V.T) @ V
        found.append(float(rest @ product(rest)))
    return TraceEstimate(known + float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(n)), n)


def hutchpp(product: Product, size: int, *, n_products: int = 30, random_state: int = 0) -> TraceEstimate:
    """Estimate the trace by a sketch of the range, exactly there and by random signs beside it.

    Parameters
    ----------
    product : callable
        v ↦ Av.
    size : int
        P.
    n_products : int
        Products to spend, at least 6; a third each for range, trace on it, and the rest.
    random_state : int
        Seed.

    Returns
    -------
    TraceEstimate
        The error is that of the last third.

    References
    ----------
    R. Meyer, C. Musco, C. Musco, D. Woodruff, Hutch++: optimal stochastic trace estimation, 2021.
    """
    m = min(check_count("n_products", n_products, low=6) // 3, size)
    draws = _signs(size, 2 * m, random_state)
    Q = np.linalg.qr(_all(product, draws[:m]).T)[0]
    inside = float(np.sum(Q.T * _all(product, Q.T)))
    found = []
    for v in draws[m:]:
        rest = v - Q @ (Q.T @ v)
        found.append(float(rest @ product(rest)))
    return TraceEstimate(inside + float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(m)), 3 * m)


def xtrace(product: Product, size: int, *, n_products: int = 30, random_state: int = 0) -> TraceEstimate:
    """Estimate the trace with every product used twice: the range of all draws but one, and that one beside it.

    Parameters
    ----------
    product : callable
        v ↦ Av.
    size : int
        P.
    n_products : int
        Products to spend, at least 4.
    random_state : int
        Seed.

    Returns
    -------
    TraceEstimate
        Unbiased; the error, from the spread of the leave-one-out estimates, tends to be too small by a third.

    References
    ----------
    E. Epperly, J. Tropp, R. Webber, XTrace: making the most of every sample in stochastic trace estimation, 2024.

    Examples
    --------
    >>> diagonal = np.r_[[100.0, 50, 20], np.full(97, 0.01)]
    >>> found = xtrace(lambda v: diagonal * v, 100, n_products=12)
    >>> bool(abs(found.value - diagonal.sum()) < 0.2)
    True
    """
    m = min(check_count("n_products", n_products, low=4) // 2, size)
    # signs would do badly on diagonal matrices: restricted to a few entries many of them are parallel
    draws = np.random.default_rng(random_state).standard_normal((m, size))
    draws *= np.sqrt(size) / np.linalg.norm(draws, axis=1, keepdims=True)
    Y = _all(product, draws).T
    Q = np.linalg.qr(Y)[0]
    Z = _all(product, Q.T).T  # A Q
    H = Q.T @ Z
    found = []
    for i in range(m):
        B = np.linalg.qr(Q.T @ np.delete(Y, i, axis=1))[0]  # the range without draw i, in coordinates of Q
        w = Q.T @ draws[i]
        inside = B @ (B.T @ w)
        rest, bent = draws[i] - Q @ inside, Y[:, i] - Z @ inside
        found.append(float(np.trace(B.T @ H @ B) + rest @ bent))
    return TraceEstimate(float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(m)), 2 * m)


def _signs(size: int, n: int, random_state: int) -> Array:
    draws: Array = np.random.default_rng(random_state).choice([-1.0, 1.0], size=(n, size))
    return draws


def _all(product: Callable[[Array], Array], rows: Array) -> Array:
    return np.stack([product(row) for row in rows])
