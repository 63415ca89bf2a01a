"""An orthonormal basis of tensors that grows row by row, and a symmetric operator's projection on it."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from trajmap._validation import Array, worded
from trajmap.curvature.overlaps import Overlaps
from trajmap.errors import InputError
from trajmap.objective.memory import room
from trajmap.objective.operator import Operator

__all__ = ["Krylov", "Rows", "dot", "norm", "wide"]

CHUNK = 8


class Rows:
    """Rows of P numbers on a device, stored in chunks, so that growth needs no copies.

    Products run over blocks of columns in the rows' own dtype; the blocks are summed in float64.

    Parameters
    ----------
    like : torch.Tensor
        Any tensor with the dtype and device of the rows.
    size : int
        P.
    first : int
        Number of rows of the first chunk, which is contiguous.
    """

    def __init__(self, like: torch.Tensor, size: int, first: int = CHUNK) -> None:
        self._like, self._size, self._first, self._n = like.detach().new_empty(0), size, first, 0
        self._chunks: list[torch.Tensor] = []

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> torch.Tensor:
        beyond = i - self._first
        return self._chunks[0][i] if beyond < 0 else self._chunks[1 + beyond // CHUNK][beyond % CHUNK]

    def append(self, vector: torch.Tensor, length: float = 1.0) -> None:
        """Append a vector of shape (P,), divided by its length."""
        if self._n == sum(len(chunk) for chunk in self._chunks):
            self._chunks.append(room(self._like, CHUNK if self._chunks else self._first, self._size))
        self._n += 1
        torch.div(vector, length, out=self[self._n - 1])

    def inner(self, vector: torch.Tensor, places: Array | None = None) -> Array:
        """Inner products of the rows at some places, ascending, or of all, with a vector, float64."""
        return self._products([vector], self._runs(places))[:, 0]

    def inners(self, vectors: list[torch.Tensor]) -> Array:
        """Inner products of all rows with several vectors in one pass over the rows, (len, vectors), float64."""
        return self._products(vectors, self._runs())

    def subtract(self, weights: Array, vector: torch.Tensor) -> float:
        """Subtract a combination of the rows from a vector, in place; give the norm of what is left."""
        every = torch.as_tensor(weights).to(self._like)
        runs = [
            (rows, every[places], float(weights[places.start])) for places, rows in self._runs(np.flatnonzero(weights))
        ]
        square = torch.zeros((), dtype=torch.float64, device=self._like.device)
        for columns in _blocks(vector):
            block = vector[columns]
            for rows, part, first in runs:
                if len(rows) == 1:
                    block.add_(rows[0, columns], alpha=-first)
                else:
                    block.addmv_(rows[:, columns].T, part, alpha=-1)
            square += torch.dot(block, block)
        length = float(square.sqrt())
        return length if _safe(length**2) else norm(vector)

    def remove(self, vector: torch.Tensor, before: float, places: Array | None = None) -> tuple[Array, float]:
        """Subtract from a vector, in place, its part in the span of some rows, which must be orthonormal.

        Parameters
        ----------
        vector : torch.Tensor, shape (P,)
            The vector.
        before : float
            Its norm.
        places : numpy.ndarray of int, optional
            Which rows, ascending; all by default.

        Returns
        -------
        coordinates : numpy.ndarray, shape (len,)
            Coordinates of the subtracted part; zero at other rows.
        after : float
            Norm of the rest.
        """
        total, after = np.zeros(self._n), before
        chosen = np.arange(self._n) if places is None else places
        for _ in range(4 if len(chosen) else 0):
            found = np.zeros(self._n)
            before, found[chosen] = after, self.inner(vector, chosen)
            after = self.subtract(found, vector)
            total += found
            if after >= 0.5 * before:  # else the subtraction left rounding errors
                break
        return total, after

    def reflect(self, places: list[int], axis: Array) -> None:
        """Reflect some rows in their span: the part along a unit combination of them, (places,), changes its sign."""
        rows = [(self[place], float(weight)) for place, weight in zip(places, axis, strict=True)]
        for columns in _blocks(self[0]):
            along = sum(weight * row[columns] for row, weight in rows)
            for row, weight in rows:
                row[columns].add_(along, alpha=-2 * weight)

    def combine(self, weights: Array) -> None:
        """Replace the rows by n ≤ len combinations, weights (n, len), one block of columns at a time."""
        n = len(weights)
        for columns, block in self._combined(weights):
            for places, rows in self._runs(np.arange(n)):
                rows[:, columns] = block[places]
        self._n = n
        del self._chunks[len(self._runs()) :]

    def in_one_piece(self) -> torch.Tensor:
        """View the rows, at most those of the first chunk, as one tensor of shape (len, P)."""
        return self._chunks[0][: self._n]

    @property
    def _exact(self) -> torch.dtype:
        """Format of matrix products: float64 if an accelerator may round float32 factors to fewer digits."""
        return self._like.dtype if self._like.device.type == "cpu" else torch.float64

    def _runs(self, places: Array | None = None) -> list[tuple[slice, torch.Tensor]]:
        """Rows at some places, ascending, or all: neighbours in one chunk are one view."""
        chosen = np.arange(self._n) if places is None else places
        chunks = np.maximum(chosen - self._first, -1) // CHUNK + 1
        cuts = np.flatnonzero((np.diff(chosen) != 1) | (np.diff(chunks) != 0)) + 1
        found = []
        for part, inside in zip(np.split(chosen, cuts), np.split(chunks, cuts), strict=True):
            if len(part):
                chunk, start = int(inside[0]), int(part[0])
                at = start - (self._first + (chunk - 1) * CHUNK if chunk else 0)
                found.append((slice(start, start + len(part)), self._chunks[chunk][at : at + len(part)]))
        return found

    def _products(self, vectors: list[torch.Tensor], runs: list[tuple[slice, torch.Tensor]]) -> Array:
        n = sum(len(rows) for _, rows in runs)
        total = torch.zeros((n, len(vectors)), dtype=torch.float64, device=self._like.device)
        for columns in _blocks(vectors[0]) if n else ():
            blocks = [vector[columns] for vector in vectors]  # one by one: thin matrix products take longer
            total += torch.stack([torch.cat([rows[:, columns] @ b for _, rows in runs]) for b in blocks], dim=1)
        return total.cpu().numpy()

    def _combined(self, weights: Array) -> Iterator[tuple[slice, torch.Tensor]]:
        W = torch.as_tensor(weights).to(self._like.device, self._exact)
        runs = self._runs()
        for columns in _blocks(self[0]):
            block = torch.zeros((len(weights), len(self[0][columns])), dtype=self._exact, device=self._like.device)
            for places, rows in runs:
                block.addmm_(W[:, places], rows[:, columns].to(self._exact))
            yield columns, block


class Krylov:
    """A symmetric operator projected onto a growing orthonormal basis Q.

    Some rows have been multiplied, the pending ones have not. With T the projection of the operator on the
    multiplied rows and S its coupling to the pending ones, A Q = Q T + Q_pending S holds to rounding: the residual of
    a Ritz pair (λ, Qᵀy) is ‖S y‖, with one pending row (a Lanczos chain) or with several, before and after a restart.

    The couplings that follow from symmetry are subtracted from each product, and measured ones with other pending rows.
    The rows then lose orthogonality slowly; `Overlaps` follows how much, and where it passes the square root of the
    rounding, two new rows are orthogonalised against all. What that takes is kept, so that A Q is known to rounding
    all the time. `straighten` completes the rows' Gram matrix, at a restart and at the end, and changes to the exactly
    orthonormal basis of their span without forming it.

    Parameters
    ----------
    operator : Operator
        A.
    name : str
        The user's name of the argument that makes a product infinite.
    keep : int
        Maximum number of vectors returned at the end.
    """

    def __init__(self, operator: Operator, name: str = "theta", *, keep: int = CHUNK) -> None:
        self._operator, self._name = operator, name
        self.eps = float(torch.finfo(operator.dtype).eps)
        self.size = operator.size
        self.rows = Rows(wide(operator), operator.size, keep)
        self._T = np.zeros((0, 0))
        self._taken = np.zeros((0, 0))  # (of row, from product): part subtracted by orthogonalisation in addition to T
        self._overlaps = Overlaps(self.eps)
        self._basis: Array | None = None  # weights of the rows in the orthonormal basis, once straightened
        self._multiplied: list[bool] = []
        self.n_products = 0

    @property
    def multiplied(self) -> list[int]:
        """Places of the rows with known products."""
        return [i for i, known in enumerate(self._multiplied) if known]

    @property
    def pending(self) -> list[int]:
        """Places of the others."""
        return [i for i, known in enumerate(self._multiplied) if not known]

    @property
    def floor(self) -> float:
        """Rounding of a product: a smaller new part has no meaning."""
        return float(max(100 * self.eps, 1e-12) * np.abs(self._T).max(initial=0.0))

    @property
    def complete(self) -> bool:
        """Whether the multiplied rows span the whole space."""
        return len(self.multiplied) == self.size

    def projection(self) -> tuple[Array, Array]:
        """T among the multiplied rows, and S between the pending (first axis) and the multiplied."""
        known = self.multiplied
        return self._T[np.ix_(known, known)], self._T[np.ix_(self.pending, known)]

    def add(self, vector: torch.Tensor) -> None:
        """Make the part of a vector that is orthogonal to the multiplied rows the last pending row."""
        vector = vector / norm(vector)
        _, coordinates, length = self._clean(vector, 1.0)
        strengths = coordinates[self.pending]
        if len(self.rows) < self.size:
            self._append(vector, length)
            strengths = np.append(strengths, length)
        self.gather(strengths)

    def coupling(self, row: int) -> Array:
        """Coupling of a multiplied row to the pending ones."""
        return self._T[self.pending, row]

    def gather(self, strengths: Array) -> None:
        """Rotate the pending rows in their span so that the last is a combination of them, weights (pending,)."""
        places, length = self.pending, float(np.linalg.norm(strengths))
        if len(places) < 2 or not length:
            return
        axis = strengths / length
        axis[-1] += np.copysign(1.0, axis[-1])
        axis /= np.linalg.norm(axis)
        self.rows.reflect(places, axis)
        self._T[places] -= 2 * np.outer(axis, axis @ self._T[places])
        self._T[:, places] = self._T[places].T
        self._taken[places] -= 2 * np.outer(axis, axis @ self._taken[places])
        self._overlaps.reflect(places, axis)

    def multiply(self, row: int) -> tuple[float, float]:
        """Multiply a pending row and append the new part of the product; return vᵀAv and the norm of the new part.

        Parameters
        ----------
        row : int
            Place of the row.

        Returns
        -------
        alpha, beta : float
            β is 0, and nothing is appended, if the product is in the span of the rows.

        Raises
        ------
        InputError
            If the product holds NaN or inf.
        """
        assert self._basis is None, "the basis cannot grow any more: restart first"
        vector = self.rows[row]
        product = self._operator.multiply(vector)
        self.n_products += 1
        alpha = dot(vector, product)
        if not np.isfinite(alpha):
            expected = "finite products" if self._name == "product" else "a point where the Hessian is finite"
            raise InputError(worded(self._name, expected, f"NaN or inf in product {self.n_products}"))
        known = self._T[row].copy()
        known[row] = alpha
        others = np.array([place for place in self.pending if place != row], dtype=int)
        coordinates, beta = self.rows.remove(product, self.rows.subtract(known, product), others)
        self._T[row] = self._T[:, row] = known + coordinates
        self._multiplied[row] = True
        overlaps = self._overlaps.of_new(self._T, row, self.multiplied, beta)
        lost = self._overlaps.lost(overlaps)
        if lost:
            measured, taken, after = self._clean(product, beta)
            self._overlaps.learn(overlaps, measured / max(beta, np.finfo(float).tiny))
            self._taken[:, row] += taken
            beta = after
        if len(self.rows) == self.size or beta <= self.floor:
            return alpha, 0.0
        self._append(product, beta, None if lost else overlaps)
        self._T[row, -1] = self._T[-1, row] = beta
        return alpha, beta

    def _clean(self, vector: torch.Tensor, before: float) -> tuple[Array, Array, float]:
        """Orthogonalise a vector against all rows, and look at the unseen ones in the same pass.

        Parameters
        ----------
        vector : torch.Tensor, shape (P,)
            It is changed in place.
        before : float
            Its norm.

        Returns
        -------
        measured, taken : numpy.ndarray, shape (rows,)
            Inner products with the rows, and coordinates of what was subtracted.
        after : float
            Norm of what is left.
        """
        found = self.rows.inners([vector, *(self.rows[i] for i in self._overlaps.unseen)])
        self._overlaps.see(found[:, 1:])
        taken = np.linalg.solve(self._overlaps.gram, found[:, 0])
        after = self.rows.subtract(taken, vector)
        if after < 0.5 * before:  # it is short compared with the rounding of what was subtracted
            more, after = self.rows.remove(vector, after)
            taken += more
        return found[:, 0], taken, after

    def straighten(self) -> None:
        """Change to the orthonormal basis of the rows' span, in which the projection is exact.

        Nothing can be multiplied in it before a restart.
        """
        if self._basis is not None:
            return
        if self._overlaps.unseen:
            self._overlaps.see(self.rows.inners([self.rows[i] for i in self._overlaps.unseen]))
        m, order = len(self.multiplied), self.multiplied + self.pending
        R = np.linalg.cholesky(self._overlaps.gram[np.ix_(order, order)]).T
        seen = R @ (self._T + self._taken)[np.ix_(order, order[:m])] @ np.linalg.inv(R[:m, :m])
        seen[:m] = (seen[:m] + seen[:m].T) / 2
        for side in (self._T, self._T.T):
            side[np.ix_(order, order[:m])] = seen
        self._taken[:] = 0
        self._basis = np.zeros_like(self._T)
        self._basis[np.ix_(order, order)] = np.linalg.inv(R)

    def restart(self, keep: Array) -> None:
        """Keep some Ritz vectors, columns of shape (multiplied,), and the pending directions that they couple to."""
        self.straighten()
        T, S = self.projection()
        left, strengths, right = np.linalg.svd(S @ keep, full_matrices=False)
        strong = strengths > 10 * self.eps * np.abs(self._T).max()
        m, p = keep.shape[1], int(strong.sum())
        weights = np.zeros((m + p, len(self.rows)))
        weights[:m, self.multiplied] = keep.T
        weights[m:, self.pending] = left[:, strong].T
        self._combine(weights)
        self._T = np.zeros((m + p, m + p))
        self._T[:m, :m] = keep.T @ T @ keep
        self._T[m:, :m] = strengths[strong, None] * right[strong]
        self._T[:m, m:] = self._T[m:, :m].T
        self._taken = np.zeros_like(self._T)
        self._multiplied = [True] * m + [False] * p

    def vectors(self, weights: Array) -> Array:
        """Combine the multiplied rows in place, which destroys the basis.

        Parameters
        ----------
        weights : numpy.ndarray, shape (multiplied, n)
            One column per vector, at most `keep`.

        Returns
        -------
        numpy.ndarray, shape (n, P)
            The vectors, in the rows' dtype.
        """
        everywhere = np.zeros((weights.shape[1], len(self.rows)))
        everywhere[:, self.multiplied] = weights.T
        self._combine(everywhere)
        return self.rows.in_one_piece().cpu().numpy()

    def _combine(self, weights: Array) -> None:
        """Replace the rows by combinations of the orthonormal basis."""
        self.straighten()
        self.rows.combine(weights if self._basis is None else weights @ self._basis.T)
        self._overlaps.renew(len(weights))
        self._basis = None

    def _append(self, vector: torch.Tensor, length: float, overlaps: Array | None = None) -> None:
        self.rows.append(vector, length)
        self._overlaps.append(overlaps)
        self._T, self._taken = np.pad(self._T, (0, 1)), np.pad(self._taken, (0, 1))
        self._multiplied.append(False)


def wide(operator: Operator) -> torch.Tensor:
    """Return an empty tensor like an operator's vectors, for a basis of them.

    Parameters
    ----------
    operator : Operator
        The operator.

    Returns
    -------
    torch.Tensor
        A tensor of its dtype on its device.

    Raises
    ------
    InputError
        If the dtype is narrower than float32, because a basis would not stay orthogonal.
    """
    if operator.dtype not in {torch.float32, torch.float64}:
        expected, repair = "products in float32 or float64", "Objective(..., dtype=torch.float32)"
        raise InputError(worded("operator", expected, str(operator.dtype), repair))
    return torch.empty(0, dtype=operator.dtype, device=operator.device)


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    """Inner product of two tensors of shape (P,), by blocks in their dtype, which are summed in float64."""
    total = _summed(a, b, a.dtype)
    return total if _safe(total) else _summed(a, b, torch.float64)


def norm(vector: torch.Tensor) -> float:
    """Euclidean norm of a tensor of shape (P,)."""
    return math.sqrt(dot(vector, vector))


def _summed(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> float:
    total = torch.zeros((), dtype=torch.float64, device=a.device)
    for columns in _blocks(a):
        total += torch.dot(a[columns].to(dtype), b[columns].to(dtype))
    return float(total)


def _safe(total: float) -> bool:
    """Return whether a sum of products of float32 numbers is far from overflow and underflow."""
    return 1e-25 < abs(total) < 1e30


def _blocks(vector: torch.Tensor, among: int = 1) -> Iterator[slice]:
    """Columns that fit in a processor's cache, or keep an accelerator busy; narrower for several uses."""
    width = (2**16 if vector.device.type == "cpu" else 2**22) // among
    for start in range(0, len(vector), width):
        yield slice(start, start + width)
