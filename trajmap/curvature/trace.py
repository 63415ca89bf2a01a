"""The trace of a symmetric operator from its products, with an error estimate."""

from collections.abc import Iterable

import numpy as np
import torch

from trajmap._validation import Array, check_count
from trajmap.curvature.krylov import Rows, dot, norm, wide
from trajmap.curvature.operators import Product, as_operator
from trajmap.curvature.probes import quadratic_forms, random_sphere
from trajmap.data.progress import Progress
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.trace_estimate import TraceEstimate
from trajmap.objective.operator import Operator, Watched

__all__ = ["deflated_trace", "hutchinson", "hutchpp", "xtrace"]


def hutchinson(
    product: Product, size: int, *, n_products: int = 30, random_state: int = 0, progress: Progress | None = None
) -> TraceEstimate:
    """Estimate the trace by random signs: the mean of vᵀAv.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Av.
    size : int
        P.
    n_products : int
        Number of products, at least 2.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the products done and their number.

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
    operator = Watched(as_operator(product, size), progress, n)
    return TraceEstimate(*_mean(quadratic_forms(operator, n, np.random.default_rng(random_state))), n)


def deflated_trace(
    product: Product,
    size: int,
    space: Eigenspace,
    *,
    n_products: int = 12,
    random_state: int = 0,
    progress: Progress | None = None,
) -> TraceEstimate:
    """Estimate the trace with deflation: exactly in an approximate eigenspace, by random signs outside.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Av.
    size : int
        P.
    space : Eigenspace
        Only its vectors V are used, not its eigenvalues: vectors near the eigenvectors of largest magnitude remove most
        of the variance, also those of a neighbouring point.
    n_products : int
        Number of random products, at least 2, in addition to one per vector.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the products done and their number.

    Returns
    -------
    TraceEstimate
        Unbiased for any vectors that are independent of these random signs, also if they are not eigenvectors or not
        orthonormal: tr A is tr (VVᵀ)⁺VAVᵀ plus the trace of A between projections onto the complement of V's rows. The
        error is small only if they span the eigenvectors of largest magnitude of this A: compute them at the same
        point.
    """
    n, k = check_count("n_products", n_products, low=2), space.k
    operator = Watched(as_operator(product, size), progress, n + k)
    V, rng = _rows(operator), np.random.default_rng(random_state)
    for vector in space.eigenvectors:
        V.append(operator.tensor(vector))
    # (VVᵀ)⁺ is the identity up to rounding for eigenvectors of one search; it removes the rounding of repeated vectors
    inverse = np.linalg.pinv(np.stack([V.inner(V[i]) for i in range(k)]), rcond=1e-10, hermitian=True)
    Hv = np.stack([V.inner(operator.multiply(V[i])) for i in range(k)])

    def off(v: torch.Tensor) -> None:
        V.subtract(inverse @ V.inner(v), v)

    outside, error = _mean(quadratic_forms(operator, n, rng, project=off))
    return TraceEstimate(float(np.sum(inverse * Hv)) + outside, error, n + k)


def hutchpp(
    product: Product, size: int, *, n_products: int = 30, random_state: int = 0, progress: Progress | None = None
) -> TraceEstimate:
    """Estimate the trace by a sketch of the range, exactly there and by random vectors outside it.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Av.
    size : int
        P.
    n_products : int
        Number of products, at least 6; a third each for the range, the trace on it, and the rest.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the products done and their number.

    Returns
    -------
    TraceEstimate
        Unbiased. The error comes from the last third: the spread of its terms, or its estimate from |Bv|² with B the
        operator in the complement of the range, whichever is larger, times Student's factor for the number of terms.

    References
    ----------
    R. Meyer, C. Musco, C. Musco, D. Woodruff, Hutch++: optimal stochastic trace estimation, 2021.
    """
    m = min(check_count("n_products", n_products, low=6) // 3, size)
    operator, rng = Watched(as_operator(product, size), progress, 3 * m), np.random.default_rng(random_state)
    Q = _rows(operator)
    for _ in range(m):
        _extend(Q, operator.multiply(random_sphere(operator, rng)))
    inside = float(sum(dot(Q[i], operator.multiply(Q[i])) for i in range(len(Q))))
    outside = size - len(Q)
    if not outside:
        return TraceEstimate(inside, 0.0, m + size)
    found, squares = [], []
    for _ in range(m):
        rest = random_sphere(operator, rng)
        Q.remove(rest, norm(rest))
        # the direction of a draw in the complement is independent of its length, whose mean is known
        rest *= np.sqrt(outside) / norm(rest)
        Hv = operator.multiply(rest)
        found.append(dot(rest, Hv))
        Q.remove(Hv, norm(Hv))
        squares.append(dot(Hv, Hv))
    terms = np.array(found)
    return TraceEstimate(inside + float(terms.mean()), _error(terms, terms, np.array(squares), outside), 2 * m + len(Q))


def xtrace(
    product: Product, size: int, *, n_products: int = 30, random_state: int = 0, progress: Progress | None = None
) -> TraceEstimate:
    """Estimate the trace with every product used twice: the range of all draws but one, and that one in addition.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Av.
    size : int
        P.
    n_products : int
        Number of products, at least 4.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the products done and their number.

    Returns
    -------
    TraceEstimate
        Unbiased. The error is computed as in `hutchpp`, from the leave-one-out estimates, and widened for their
        correlation.

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
    operator, rng = Watched(as_operator(product, size), progress, 2 * m), np.random.default_rng(random_state)
    draws, Q, bends, columns = _rows(operator), _rows(operator), [], []
    for _ in range(m):
        # signs are bad on diagonal matrices: restricted to a few entries, many of them are parallel
        draw = random_sphere(operator, rng)
        product_of = operator.multiply(draw)
        bends.append(dot(draw, product_of))
        draws.append(draw)
        columns.append(_extend(Q, product_of))
    R = np.stack([np.pad(column, (0, len(Q) - len(column))) for column in columns], axis=1)
    W = np.stack([Q.inner(draws[i]) for i in range(m)], axis=1)
    del draws
    Z = _rows(operator)
    for i in range(len(Q)):
        Z.append(operator.multiply(Q[i]))
    H = np.stack([Q.inner(Z[i]) for i in range(len(Z))], axis=1)
    G = np.stack([Z.inner(Z[i]) for i in range(len(Z))])
    rows = [_left_out(i, bends[i], R, W[:, i], ((H + H.T) / 2, G), size) for i in range(m)]
    found, terms, squares, outside = (np.array(part) for part in zip(*rows, strict=True))
    # leave-one-out estimates share their draws, so their mean is less certain than that of independent ones. The factor
    # is empirical: with it two errors cover the truth on the tested spectra of slow and fast decay
    error = _error(found, terms, squares, float(outside.mean())) * np.sqrt((m + 2) / (m - 1))
    return TraceEstimate(float(found.mean()), float(error), m + len(Q))


def _left_out(
    i: int, bend: float, R: Array, w: Array, projected: tuple[Array, Array], size: int
) -> tuple[float, float, float, float]:
    # XTrace's estimate from draw d_i in the complement of the range of the others, in coordinates of the full range's
    # basis Q: A D = Q R, w = Qᵀd_i, H = Qᵀ A Q, G = (A Q)ᵀ A Q, bend = d_iᵀ A d_i
    H, G = projected
    left, strengths, _ = np.linalg.svd(np.delete(R, i, axis=1), full_matrices=False)
    B = left[:, strengths > 1e-12 * strengths.max(initial=0.0)]  # the range without draw i
    inside = B @ (B.T @ w)
    outside = size - B.shape[1]
    # the direction of a draw in the complement is independent of its length, whose mean is known
    scale = outside / max(size - float(inside @ inside), np.finfo(float).tiny)
    term = scale * float(bend - 2 * inside @ R[:, i] + inside @ H @ inside)
    rest = R[:, i] - H @ inside  # coordinates of A's product with the complement, without B's part
    whole = float(R[:, i] @ R[:, i] - 2 * inside @ (H @ R[:, i]) + inside @ G @ inside)
    square = scale * max(whole - float(np.sum((B.T @ rest) ** 2)), 0.0)
    return float(np.trace(B.T @ H @ B)) + term, term, square, outside


def _error(found: Array, terms: Array, squares: Array, outside: float) -> float:
    # the standard error of the mean of estimates, each known up to vᵀBv for a random v with |v|² = n = `outside`: it
    # follows from their spread, and from the averages |Bv|² = ‖B‖_F² and vᵀBv = tr B, because the variance of vᵀBv is
    # 2(‖B‖_F² − (tr B)²/n)·n/(n + 2); each may be far too small by chance, and seldom both
    m, n = len(found), outside
    spread = float(np.var(found, ddof=1))
    text = 2 * (float(np.mean(squares)) - float(np.mean(terms)) ** 2 / n) * n / (n + 2)
    return _student(float(np.sqrt(max(spread, text) / m)), m)


def _mean(forms: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Mean of vᵀAv over random signs v, and its error."""
    found = [first for first, _ in forms]
    n = len(found)
    return float(np.mean(found)), _student(float(np.std(found, ddof=1) / np.sqrt(n)), n - 1)


def _student(error: float, degrees: int) -> float:
    """Widen a standard error of few degrees of freedom, so that two errors have the usual coverage."""
    from scipy.stats import norm as normal
    from scipy.stats import t

    return error * float(t.ppf(normal.cdf(2), degrees)) / 2


def _rows(operator: Operator) -> Rows:
    return Rows(wide(operator), operator.size)


def _extend(Q: Rows, vector: torch.Tensor) -> Array:
    """Append the part of a vector orthogonal to the rows, in place; return its coordinates, the new one last."""
    whole = norm(vector)
    inside, outside = Q.remove(vector, whole)
    if outside <= 100 * torch.finfo(vector.dtype).eps * whole:
        return inside
    Q.append(vector, outside)
    return np.append(inside, outside)
