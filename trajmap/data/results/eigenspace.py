"""Eigenpairs of a symmetric operator on parameter space, with the evidence that they are eigenpairs."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array, frozen_array, worded
from trajmap.data.archive import Saved
from trajmap.errors import InputError

__all__ = ["Eigenspace"]


@dataclasses.dataclass(frozen=True, eq=False)
class Eigenspace(Saved):
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
    >>> space = Eigenspace(np.array([2.0]), np.array([[0.0, 1.0]]), np.array([0.0]), np.array([True]), 1)
    >>> space.k
    1
    """

    eigenvalues: Array
    eigenvectors: Array
    residuals: Array
    converged: Array
    n_products: int = 0

    def __post_init__(self) -> None:
        values = check_array("eigenvalues", self.eigenvalues, (None,))
        k = len(values)
        if not k:
            raise InputError(worded("eigenvalues", "at least one", values))
        checked = {
            "eigenvalues": values,
            "eigenvectors": check_array("eigenvectors", self.eigenvectors, (k, None)),
            "residuals": check_array("residuals", self.residuals, (k,)),
            "converged": check_array("converged", self.converged, (k,), dtype=np.bool_),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, frozen_array(value))

    @property
    def k(self) -> int:
        """Number of eigenpairs."""
        return len(self.eigenvalues)
