"""An orthonormal basis of tensors that grows row by row, and a symmetric operator's projection on it."""

from collections.abc import Iterator

import numpy as np
import torch

from trajmap._validation import Array, worded
from trajmap.errors import InputError
from trajmap.objective.operator import Operator

__all__ = ["Krylov", "Rows", "dot", "norm", "wide"]

CHUNK = 8


class Rows:
    """Rows of P numbers on a device, in chunks, so that nothing is copied as they grow.

    Products run over blocks of columns in the rows' own number format; the blocks are summed in float64.

    Parameters
    ----------
    like : torch.Tensor
        Any tensor of the number format and on the device of the rows.
    size : int
        P.
    """

    def __init__(self, like: torch.Tensor, size: int) -> None:
        self._like, self._size, self._n = like.detach().new_empty(0), size, 0
        self._chunks: list[torch.Tensor] = []

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> torch.Tensor:
        return self._chunks[i // CHUNK][i % CHUNK]

    def append(self, vector: torch.Tensor) -> None:
        """Copy a vector of shape (P,) behind the others."""
        if self._n == CHUNK * len(self._chunks):
            self._chunks.append(self._like.new_empty((CHUNK, self._size)))
        self._n += 1
        self[self._n - 1].copy_(vector)

    def inner(self, vector: torch.Tensor) -> Array:
        """Inner products with a vector, (len,), float64."""
        total = torch.zeros(self._n, dtype=torch.float64, device=self._like.device)
        for columns in _blocks(vector):
            block = vector[columns]
            total += torch.cat([chunk[:, columns] @ block for chunk in self._full()]).double()
        found: Array = total.cpu().numpy()
        return found

    def subtract(self, weights: Array, vector: torch.Tensor) -> None:
        """Subtract a combination of the rows from a vector, in place."""
        near = np.flatnonzero(weights)
        if len(near) <= 3:
            for place in near.tolist():
                vector.add_(self[place], alpha=-float(weights[place]))
            return
        every = torch.as_tensor(weights).to(self._like)
        for columns in _blocks(vector):
            block = vector[columns]
            for i, chunk in enumerate(self._full()):
                block.addmv_(chunk[:, columns].T, every[i * CHUNK : i * CHUNK + len(chunk)], alpha=-1)

    def remove(self, vector: torch.Tensor) -> Array:
        """Subtract from a vector, in place, what lies in the span of the rows, if orthonormal; give its coordinates."""
        total, after = np.zeros(self._n), norm(vector)
        for _ in range(4 if self._n else 0):
            before, found = after, self.inner(vector)
            self.subtract(found, vector)
            total += found
            after = norm(vector)
            if after >= 0.5 * before:
                break
        return total

    def write(self, weights: Array, out: torch.Tensor) -> None:
        """Fill ``out``, (n, P), with combinations of the rows; weights (n, len)."""
        for columns, block in self._combined(weights):
            out[:, columns] = block

    def combine(self, weights: Array) -> None:
        """Put n ≤ len combinations in the place of the rows, weights (n, len), one block of columns at a time."""
        n = len(weights)
        for columns, block in self._combined(weights):
            for i, chunk in enumerate(self._chunks[: -(-n // CHUNK)]):
                part = block[i * CHUNK : (i + 1) * CHUNK]
                chunk[: len(part), columns] = part
        self._n = n
        del self._chunks[-(-n // CHUNK) :]

    def _full(self) -> list[torch.Tensor]:
        return [chunk[: self._n - CHUNK * i] for i, chunk in enumerate(self._chunks)]

    def _combined(self, weights: Array) -> Iterator[tuple[slice, torch.Tensor]]:
        # float64 where an accelerator might round the factors of a float32 product to fewer digits
        dtype = self._like.dtype if self._like.device.type == "cpu" else torch.float64
        W = torch.as_tensor(weights).to(self._like.device, dtype)
        for columns in _blocks(self[0]):
            yield columns, W @ torch.cat([chunk[:, columns] for chunk in self._full()]).to(dtype)


class Krylov:
    """A symmetric operator seen through a growing orthonormal basis Q.

    Some rows have been multiplied, the pending ones have not. With T the projection of the operator on the
    multiplied rows and S its coupling to the pending ones, A Q = Q T + Q_pending S holds to rounding: the residual of
    a Ritz pair (λ, Qᵀy) is ‖S y‖, with one pending row (a Lanczos chain) or with several, before and after a restart.

    Each new row is orthogonalised against all: first the couplings that symmetry says, then measured ones, repeated
    while the norm falls by half, which keeps the rows orthogonal to the rounding of their number format.

    Parameters
    ----------
    operator : Operator
        A.
    name : str
        What the user calls the argument that makes a product infinite.
    """

    def __init__(self, operator: Operator, name: str = "theta") -> None:
        self._operator, self._name = operator, name
        self.eps = float(torch.finfo(operator.dtype).eps)
        self.size = operator.size
        self.rows = Rows(wide(operator), operator.size)
        self._T = np.zeros((0, 0))
        self._multiplied: list[bool] = []
        self.n_products = 0

    @property
    def multiplied(self) -> list[int]:
        """Places of the rows whose product is known."""
        return [i for i, known in enumerate(self._multiplied) if known]

    @property
    def pending(self) -> list[int]:
        """Places of the others."""
        return [i for i, known in enumerate(self._multiplied) if not known]

    @property
    def floor(self) -> float:
        """Rounding of a product: what is new in one and smaller than this says nothing."""
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
        inside = self.rows.remove(vector)[self.pending]
        strengths = inside
        if len(self.rows) < self.size:
            length = norm(vector)
            self._append(vector, length)
            strengths = np.append(inside, length)
        self.gather(strengths)

    def coupling(self, row: int) -> Array:
        """Coupling of a multiplied row to the pending ones."""
        found: Array = self._T[self.pending, row]
        return found

    def gather(self, strengths: Array) -> None:
        """Turn the pending rows in their span so that the last is a combination of them, weights (pending,)."""
        places, length = self.pending, float(np.linalg.norm(strengths))
        if len(places) < 2 or not length:
            return
        axis = strengths / length
        axis[-1] += np.copysign(1.0, axis[-1])
        axis /= np.linalg.norm(axis)
        mirror = torch.zeros_like(self.rows[0])
        for place, weight in zip(places, axis, strict=True):
            mirror.add_(self.rows[place], alpha=float(weight))
        for place, weight in zip(places, axis, strict=True):
            self.rows[place].add_(mirror, alpha=-2 * float(weight))
        self._T[places] -= 2 * np.outer(axis, axis @ self._T[places])
        self._T[:, places] = self._T[places].T

    def multiply(self, row: int) -> tuple[float, float]:
        """Multiply a pending row and append what is new in the product; give vᵀAv and the norm of what is new.

        Parameters
        ----------
        row : int
            Place of the row.

        Returns
        -------
        alpha, beta : float
            β is 0, and nothing is appended, where the product lies in the span of the rows.

        Raises
        ------
        InputError
            If the product holds NaN or inf.
        """
        vector = self.rows[row]
        product = self._operator.multiply(vector)
        self.n_products += 1
        alpha = dot(vector, product)
        if not np.isfinite(alpha):
            expected = "finite products" if self._name == "product" else "a point where the Hessian is finite"
            raise InputError(worded(self._name, expected, f"NaN or inf in product {self.n_products}"))
        known = self._T[row].copy()
        known[row] = alpha
        self.rows.subtract(known, product)
        known += self.rows.remove(product)
        self._T[row] = self._T[:, row] = known
        self._multiplied[row] = True
        beta = norm(product)
        if len(self.rows) == self.size or beta <= self.floor:
            return alpha, 0.0
        self._append(product, beta)
        self._T[row, -1] = self._T[-1, row] = beta
        return alpha, beta

    def restart(self, keep: Array) -> None:
        """Keep some Ritz vectors, columns of shape (multiplied,), and the pending directions that they couple to."""
        T, S = self.projection()
        left, strengths, right = np.linalg.svd(S @ keep, full_matrices=False)
        strong = strengths > 10 * self.eps * np.abs(self._T).max()
        m, p = keep.shape[1], int(strong.sum())
        weights = np.zeros((m + p, len(self.rows)))
        weights[:m, self.multiplied] = keep.T
        weights[m:, self.pending] = left[:, strong].T
        self.rows.combine(weights)
        self._T = np.zeros((m + p, m + p))
        self._T[:m, :m] = keep.T @ T @ keep
        self._T[m:, :m] = strengths[strong, None] * right[strong]
        self._T[:m, m:] = self._T[m:, :m].T
        self._multiplied = [True] * m + [False] * p

    def vectors(self, weights: Array) -> Array:
        """Combine the multiplied rows, weights (multiplied, n) → (n, P), in the rows' number format."""
        everywhere = np.zeros((weights.shape[1], len(self.rows)))
        everywhere[:, self.multiplied] = weights.T
        out = self.rows[0].new_empty((weights.shape[1], self.size))
        self.rows.write(everywhere, out)
        found: Array = out.cpu().numpy()
        return found

    def _append(self, vector: torch.Tensor, length: float) -> None:
        self.rows.append(vector.div_(length))
        self._T = np.pad(self._T, (0, 1))
        self._multiplied.append(False)


def wide(operator: Operator) -> torch.Tensor:
    """Give an empty tensor like an operator's vectors, for a basis of them.

    Parameters
    ----------
    operator : Operator
        The operator.

    Returns
    -------
    torch.Tensor
        Of its number format, on its device.

    Raises
    ------
    InputError
        If the number format is narrower than float32: a basis would not stay orthogonal.
    """
    if operator.dtype not in {torch.float32, torch.float64}:
        expected, repair = "products in float32 or float64", "Objective(..., dtype=torch.float32)"
        raise InputError(worded("operator", expected, str(operator.dtype), repair))
    return torch.empty(0, dtype=operator.dtype, device=operator.device)


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    """Inner product of two tensors of shape (P,), summed in float64."""
    return float(sum(a[columns].double() @ b[columns].double() for columns in _blocks(a)))


def norm(vector: torch.Tensor) -> float:
    """Euclidean norm of a tensor of shape (P,), summed in float64."""
    return float(np.sqrt(float(sum(vector[columns].double().square().sum() for columns in _blocks(vector)))))


def _blocks(vector: torch.Tensor) -> Iterator[slice]:
    """Columns that fit in a processor's cache, or keep an accelerator busy."""
    width = 2**16 if vector.device.type == "cpu" else 2**22
    for start in range(0, len(vector), width):
        yield slice(start, start + width)
