"""Eigenpairs of a symmetric operator on parameter space, with the evidence that they are eigenpairs."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array, worded
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape
from trajmap.errors import InputError

__all__ = ["Eigenspace"]


@dataclasses.dataclass(frozen=True, eq=False)
class Eigenspace(Saved, rows=("k",)):
    """k eigenpairs (λᵢ, vᵢ) with residuals ‖A vᵢ − λᵢ vᵢ‖.

    Parameters
    ----------
    eigenvalues : numpy.ndarray, shape (k,)
        In the order the finder states (by magnitude, or algebraic), largest first.
    eigenvectors : numpy.ndarray, shape (k, P)
        Orthonormal rows; the entry of largest magnitude in each is positive.
    residuals : numpy.ndarray, shape (k,)
        In the units of the eigenvalues; 0 is best.
    converged : numpy.ndarray of bool, shape (k,)
        Whether each pair reached the finder's tolerance.
    n_products : int
        Operator products spent.

    Examples
    --------
    >>> import numpy as np
    >>> space = Eigenspace(np.array([2.0]), np.array([[0.0, 1.0]]), np.array([0.0]), np.array([True]), 1)
    >>> space.k
    1
    """

    eigenvalues: Annotated[Array, Shape("k", dtype=None)]
    eigenvectors: Annotated[Array, Shape("k", "P", dtype=None)]
    residuals: Annotated[Array, Shape("k", dtype=None)]
    converged: Annotated[Array, Shape("k", dtype=bool)]
    n_products: int = 0

    def _check(self) -> None:
        if not self.k:
            raise InputError(worded("eigenvalues", "at least one", self.eigenvalues))

    @property
    def k(self) -> int:
        """Number of eigenpairs."""
        return len(self.eigenvalues)
