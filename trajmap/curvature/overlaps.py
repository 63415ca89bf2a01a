"""Loss of orthogonality of a Krylov basis, estimated without its vectors."""

import numpy as np

from trajmap._validation import Array

__all__ = ["Overlaps"]

FEW = 4  # up to this many rows overlaps are always measured: this is cheap, and shows the rounding of the products


class Overlaps:
    """Inner products ω of basis rows that should be orthogonal: estimated, or measured if available.

    With A qₖ = Σ Tₗₖ qₗ for the multiplied rows, the new part of a product, β q = A qⱼ − Σ Tᵢⱼ qᵢ, has the overlap β ω
    = Σ Tₗₖ ωₗⱼ − Σ Tᵢⱼ ωᵢₖ with an older row, plus the rounding of both products: Simon's recurrence, for any
    projection T, with one pending row or several, before and after a restart. As long as no ω exceeds the square root
    of the rounding, T equals the projection on the exactly orthonormal basis up to rounding, so no eigenvalue reappears
    as a ghost.

    Parameters
    ----------
    eps : float
        Rounding of the rows' number format.

    References
    ----------
    H. Simon, The Lanczos algorithm with partial reorthogonalization, 1984.
    """

    def __init__(self, eps: float) -> None:
        self._noise = eps
        self._limit = eps**0.65  # below √ε, because overlaps up to 20 times the estimate were measured on clusters
        self._again = False
        self.gram = np.zeros((0, 0))  # estimates in the unseen rows and columns
        self.unseen: list[int] = []

    def of_new(self, T: Array, row: int, multiplied: list[int], beta: float) -> Array:
        """Estimate the overlaps of the new part of a product with all rows.

        Parameters
        ----------
        T : numpy.ndarray, shape (n, n)
            The projection, with the product's coordinates in column `row`.
        row : int
            The row that was multiplied.
        multiplied : list of int
            Rows whose product is known; the others' overlaps with the product were measured and taken out.
        beta : float
            Norm of what is new.

        Returns
        -------
        numpy.ndarray, shape (n,)
            Upper estimates of the magnitudes.
        """
        found = np.zeros(len(T))
        meeting = T[:, multiplied].T @ self.gram[:, row] - self.gram[multiplied] @ T[:, row]
        lengths = np.linalg.norm(T, axis=0)
        meeting += np.copysign(self._noise * (lengths[multiplied] + lengths[row] + beta), meeting)
        found[multiplied] = meeting / max(beta, np.finfo(float).tiny ** 0.5)
        return np.clip(found, -1, 1)

    def lost(self, overlaps: Array) -> bool:
        """Tell whether a new row must be orthogonalised: one overlap passes ε^0.65, or one of the last row's did."""
        # the next row follows from this one and from the one before, which keeps its overlaps: so they come in pairs
        if len(overlaps) <= FEW:
            return True
        again, self._again = self._again, False
        if not again:
            self._again = bool(np.abs(overlaps).max() > self._limit)
        return again or self._again

    def see(self, measured: Array) -> None:
        """Replace the estimates of the unseen rows by measured inner products, (n, unseen)."""
        self.gram[:, self.unseen] = measured
        self.gram[self.unseen] = measured.T
        self.unseen = []

    def learn(self, expected: Array, measured: Array) -> None:
        """Raise the rounding of the products where overlaps were larger than estimated."""
        before, now = np.abs(expected).max(), np.abs(measured).max()
        if now > before > 0:
            self._noise *= now / before

    def append(self, overlaps: Array | None = None) -> None:
        """Take in a row with its estimates, or one that was orthogonalised against all."""
        n = len(self.gram)
        self.gram = np.pad(self.gram, (0, 1))
        self.gram[n, n] = 1.0
        if overlaps is not None:
            self.gram[n, :n] = self.gram[:n, n] = overlaps
            self.unseen.append(n)

    def reflect(self, places: list[int], axis: Array) -> None:
        """Follow a reflection of some rows in their span."""
        self.gram[places] -= 2 * np.outer(axis, axis @ self.gram[places])
        self.gram[:, places] -= 2 * np.outer(self.gram[:, places] @ axis, axis)
        if set(places) & set(self.unseen):
            self.unseen = sorted({*places, *self.unseen})

    def renew(self, n: int) -> None:
        """Begin again with n rows that are orthonormal to rounding."""
        self.gram, self.unseen, self._again = np.eye(n), [], False
