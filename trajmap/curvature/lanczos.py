"""Lanczos with full reorthogonalisation: extreme eigenpairs of a symmetric operator from its products."""

import dataclasses
from collections.abc import Callable

import numpy as np

from trajmap._validation import Array, worded
from trajmap.errors import InputError

__all__ = ["Order", "Ritz", "by_magnitude", "lanczos", "largest", "smallest"]

Order = Callable[[Array], Array]


def by_magnitude(eigenvalues: Array) -> Array:
    """Sort key: largest magnitude first."""
    return -np.abs(eigenvalues)


def largest(eigenvalues: Array) -> Array:
    """Sort key: largest first."""
    return -eigenvalues


def smallest(eigenvalues: Array) -> Array:
    """Sort key: most negative first."""
    return eigenvalues


@dataclasses.dataclass(frozen=True)
class Ritz:
    """Ritz pairs in the asked order, with what they cost."""

    values: Array
    vectors: Array
    residuals: Array
    converged: Array
    n_products: int


@dataclasses.dataclass(frozen=True)
class _Goal:
    """What is wanted: how many pairs, at which end, how exactly."""

    k: int
    order: Order
    tol: float


def lanczos(
    product: Callable[[Array], Array],
    start: Array,
    k: int,
    *,
    tol: float,
    max_products: int,
    order: Order,
    rng: np.random.Generator,
) -> Ritz:
    """Find k eigenpairs of a symmetric operator.

    The basis is kept orthogonal to rounding by two passes of Gram–Schmidt a step: without them a converged
    eigenvalue comes back as ghost copies. One start vector sees one copy of each eigenvalue; where its Krylov
    space closes, a new chain starts from a random vector, until a chain adds nothing to the wanted pairs.

    Parameters
    ----------
    product : callable
        v ↦ Av, both of shape (P,).
    start : numpy.ndarray, shape (P,)
        First direction; not zero.
    k : int
        Number of pairs, ≤ P.
    tol : float
        A pair has converged when ‖Av − λv‖ ≤ tol·|λ|, or is below rounding of the largest |λ|.
    max_products : int
        Products at most.
    order : callable
        Sort key of the wanted end: `by_magnitude`, `largest`, `smallest`.
    rng : numpy.random.Generator
        For the new chains.

    Returns
    -------
    Ritz
        Residuals follow from the Lanczos relation, which full orthogonality makes exact to rounding, so they
        cost no products.

    Raises
    ------
    InputError
        If a product holds NaN or inf.
    """
    goal = _Goal(k, order, tol)
    basis = np.empty((min(max_products, len(start)), len(start)))
    basis[0] = start / np.linalg.norm(start)
    alpha, beta, chain = [], [], 0
    for m in range(1, len(basis) + 1):
        w = np.asarray(product(basis[m - 1]))
        if not np.isfinite(w).all():
            expected, got = "a point where the Hessian is finite", f"NaN or inf in product {m}"
            raise InputError(worded("theta", expected, got))
        alpha.append(float(basis[m - 1] @ w))
        w = _orthogonal(w, basis[:m])
        beta.append(float(np.linalg.norm(w)))
        closed = beta[-1] <= 1e-12 * np.max(np.abs([*alpha, *beta]))
        if closed:
            beta[-1] = 0.0
        if m == len(basis) or _done(alpha, beta, chain, goal):
            break
        if closed:
            chain, w = m, _orthogonal(rng.standard_normal(len(start)), basis[:m])
        basis[m] = w / np.linalg.norm(w)
    values, vectors, residuals, converged = _ritz(alpha, beta, goal)
    return Ritz(values, vectors.T @ basis[:m], residuals, converged, m)


def _orthogonal(w: Array, basis: Array) -> Array:
    for _ in range(2):
        w = w - basis.T @ (basis @ w)
    return w


def _ritz(alpha: list[float], beta: list[float], goal: _Goal) -> tuple[Array, Array, Array, Array]:
    """Wanted eigenpairs of the tridiagonal matrix; residuals are β_m times the last entries."""
    tridiagonal = np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1)
    values, vectors = np.linalg.eigh(tridiagonal)
    wanted = np.argsort(goal.order(values), kind="stable")[: goal.k]
    residuals = np.abs(beta[-1] * vectors[-1, wanted])
    rounding = 100 * np.finfo(float).eps * np.abs(values).max()
    converged = residuals <= np.maximum(goal.tol * np.abs(values[wanted]), rounding)
    return values[wanted], vectors[:, wanted], residuals, converged


def _done(alpha: list[float], beta: list[float], chain: int, goal: _Goal) -> bool:
    """Tell whether the wanted pairs have converged and no further copies of them are to be expected."""
    if len(alpha) < goal.k:
        return False
    values, _, _, converged = _ritz(alpha, beta, goal)
    if not converged.all() or not beta[-1]:
        return False
    if not chain:
        return True
    # after a closed chain: only when the best of the present one is known, and is not among the wanted
    best, _, _, known = _ritz(alpha[chain:], beta[chain:], dataclasses.replace(goal, k=1))
    return bool(known[0] and goal.order(best)[0] > goal.order(values).max())
