"""Lanczos with partial reorthogonalisation: extreme eigenpairs of a symmetric operator from its products."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from trajmap._validation import Array
from trajmap.curvature.krylov import Krylov
from trajmap.curvature.operators import Product, as_operator
from trajmap.curvature.probes import random_normal
from trajmap.objective.memory import frame_budget

__all__ = ["Order", "Ritz", "by_magnitude", "lanczos_pairs", "largest", "smallest"]

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
    """Ritz pairs in the given order, with their cost."""

    values: Array
    vectors: Array
    residuals: Array
    converged: Array
    n_products: int


def lanczos_pairs(
    product: Product,
    start: Array | torch.Tensor,
    k: int,
    *,
    tol: float,
    max_products: int,
    order: Order,
    rng: np.random.Generator,
    memory: float | None = None,
) -> Ritz:
    """Find k eigenpairs of a symmetric operator.

    The basis grows row by row in the operator's number format on its device, and is kept orthogonal to the square root
    of its rounding: without that a converged eigenvalue comes back as ghost copies, and with it values and residuals
    are right to the rounding itself. Where it fills the memory it is compressed to the best Ritz vectors and grows
    again.

    One start vector finds one copy of each eigenvalue. Therefore, once k pairs have converged, a second chain starts
    from a random vector orthogonal to the known space. It continues until it would have shown any missing copy of a
    wanted eigenvalue (by Christoffel's function, with probability 0.99; copies within a tenth of the last wanted
    eigenvalue are ignored). A chain that changes the wanted pairs is followed by another. Pairs whose rank could not be
    checked within `max_products` are not flagged as converged.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Av.
    start : numpy.ndarray or torch.Tensor, shape (P,)
        First direction, not zero.
    k : int
        Number of pairs, ≤ P.
    tol : float
        A pair has converged if ‖Av − λv‖ ≤ tol·|λ|, or if it is below the rounding of the largest |λ|.
    max_products : int
        Maximum number of products.
    order : callable
        Sort key of the wanted end: `by_magnitude`, `largest`, `smallest`.
    rng : numpy.random.Generator
        Generator for the new chains.
    memory : float, optional
        Bytes that the basis may take, but at least 2k + 16 rows; by default a quarter of the free memory.

    Returns
    -------
    Ritz
        Residuals follow from the basis's own relation, which is known to rounding, so they cost no products; vectors
        are orthonormal to rounding.

    References
    ----------
    H. Simon, The Lanczos algorithm with partial reorthogonalization, 1984; K. Wu, H. Simon, Thick-restart Lanczos
    method for large symmetric eigenvalue problems, 2000.
    """
    operator = as_operator(product, len(start))
    space = Krylov(operator, keep=k)
    space.add(start if isinstance(start, torch.Tensor) else operator.tensor(start))
    row_bytes = operator.size * operator.dtype.itemsize
    budget = frame_budget(operator.device) if memory is None else memory
    goal = _Goal(k, order, tol, 100 * space.eps)
    search = _Search(space, goal, lambda: random_normal(operator, rng),
                     max(2 * k + 16, int(budget // row_bytes)))  # fmt: skip
    found = search.run(max_products)
    unsure = np.zeros(len(found.values), dtype=bool) if search.checked else goal.displaced(found.values)
    vectors = space.vectors(found.weights)
    return Ritz(found.values, vectors, found.residuals, found.converged & ~unsure, space.n_products)


@dataclasses.dataclass(frozen=True)
class _Found:
    """Wanted Ritz pairs: values, weights (multiplied rows, n) of the vectors, residuals, and convergence flags."""

    values: Array
    weights: Array
    residuals: Array
    converged: Array


@dataclasses.dataclass(frozen=True)
class _Goal:
    """The request: number of pairs, end of the spectrum, and tolerance; and the rounding of products."""

    k: int
    order: Order
    tol: float
    rounding: float

    def of(self, space: Krylov, k: int | None = None) -> _Found:
        T, S = space.projection()
        values, vectors = np.linalg.eigh((T + T.T) / 2)
        wanted = np.argsort(self.order(values), kind="stable")[: self.k if k is None else k]
        residuals = np.linalg.norm(S @ vectors[:, wanted], axis=0)
        allowed = np.maximum(self.tol * np.abs(values[wanted]), self.rounding * np.abs(values).max())
        return _Found(values[wanted], vectors[:, wanted], residuals, residuals <= allowed)

    def apart(self, a: Array, b: Array, part: float) -> Array:
        """Return where values differ by more than a fraction of the second, and by more than rounding."""
        floor = self.rounding * max(np.abs(a).max(), np.abs(b).max())
        return np.abs(self.order(a) - self.order(b)) > np.maximum(part * np.abs(b), floor)

    def displaced(self, values: Array) -> Array:
        """Return which ranks a missing copy of an earlier eigenvalue would change."""
        return self.apart(values, np.broadcast_to(values[0], values.shape), max(self.tol, 1e-2))

    def looked_for(self, values: Array) -> Array:
        """Eigenvalues for which another copy would change the list."""
        return values[self.apart(values, np.broadcast_to(values[-1], values.shape), max(self.tol, MARGIN))]


MARGIN = 0.1
MISSED = 0.01


class _Chain:
    """A chain from a random vector orthogonal to all multiplied rows, to find missed pairs."""

    def __init__(self, values: Array, size: int) -> None:
        self.values, self._size = values, size
        self._alpha: list[float] = []
        self._beta: list[float] = []

    def extend(self, alpha: float, beta: float) -> None:
        self._alpha.append(alpha)
        self._beta.append(beta)

    def would_have_seen(self, values: Array) -> bool:
        """Return whether the chain's start is unlikely to contain an eigenvector of one of the values."""
        # the share of the start at an eigenvalue x is at most Christoffel's function 1/Σ p_i(x)², with the chain's
        # orthonormal polynomials p; a random vector has χ²₁/P there, which is below c/P with probability √(2c/π)
        if not self._beta[-1]:
            return True
        before, now, total = np.zeros(len(values)), np.ones(len(values)), np.ones(len(values))
        for i, (alpha, beta) in enumerate(zip(self._alpha, self._beta, strict=True)):
            last = self._beta[i - 1] if i else 0.0
            before, now = now, ((values - alpha) * now - last * before) / beta
            total += now**2
        return bool((2 * self._size / np.pi / total <= MISSED**2).all())


class _Search:
    """Grow a basis until the wanted pairs have converged and no copy of them is missing."""

    def __init__(self, space: Krylov, goal: _Goal, draw: Callable[[], torch.Tensor], capacity: int) -> None:
        self._space, self._goal, self._draw, self._capacity = space, goal, draw, capacity
        self._chain: _Chain | None = None
        self._seen: Array | None = None
        self.checked = False
        self.found = _Found(*(np.zeros(0),) * 4)

    def run(self, max_products: int) -> _Found:
        """Spend products until all is found; the pairs are those of the exactly orthonormal basis."""
        space = self._space
        while True:
            done = False
            while space.n_products < max_products and not done:
                done = self._step()
            space.straighten()
            found = self._goal.of(space)
            if found.converged.all() or space.complete or space.n_products >= max_products:
                return found
            self._restart()  # the estimates of an almost orthonormal basis were too good

    def _step(self) -> bool:
        # uses one product; returns whether everything is found
        space, goal = self._space, self._goal
        if len(space.rows) >= self._capacity:
            self._restart()
        if not space.pending:
            space.add(self._draw())
        elif not self._chain:
            self._turn()
        row = space.pending[-1]
        alpha, _ = space.multiply(row)
        self.found = goal.of(space)
        if self._chain:
            coupling = space.coupling(row)
            space.gather(coupling)
            beta = float(np.linalg.norm(coupling))
            self._chain.extend(alpha, beta if beta > space.floor else 0.0)
        enough = len(self.found.values) == goal.k
        if self._chain and goal.apart(self.found.values, self._chain.values, goal.tol).any():
            self._chain = None
        elif self._chain and self._chain.would_have_seen(goal.looked_for(self.found.values)):
            self._seen, self._chain = self._chain.values, None
        self.checked = enough and (space.complete or self._sure())
        done = self.checked and bool(self.found.converged.all())
        if enough and not done and not self._chain and self.found.converged.all():
            self._start_chain()
        return done or space.complete

    def _sure(self) -> bool:
        values = self.found.values
        if not len(self._goal.looked_for(values)):
            return True
        return self._seen is not None and not self._goal.apart(values, self._seen, self._goal.tol).any()

    def _start_chain(self) -> None:
        if len(self._space.rows) + 12 > self._capacity:
            self._restart()
        self._space.add(self._draw())
        self._chain = _Chain(self.found.values, self._space.size)

    def _turn(self) -> None:
        """Make the last pending row the direction with the strongest coupling to unconverged pairs."""
        open_ = ~self.found.converged.astype(bool)
        if open_.any():
            couplings = self._space.projection()[1] @ self.found.weights[:, open_]
            self._space.gather(np.linalg.svd(couplings)[0][:, 0])

    def _restart(self) -> None:
        """Compress the basis to the wanted Ritz vectors and some others."""
        self._chain = None
        k, spare = self._goal.k, (self._capacity - 2 * self._goal.k) // 3
        more = self._goal.of(self._space, k + spare)
        crowded = k + spare + len(self._space.pending) > self._capacity - 4
        self._space.restart(more.weights[:, :k] if crowded else more.weights)
        self.found = self._goal.of(self._space)
