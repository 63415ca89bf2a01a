"""How much one more sample changes the loss at a point."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["SampleConvergence"]


@dataclasses.dataclass(frozen=True, eq=False)
class SampleConvergence(Saved, rows=("m",)):
    """Change of the mean loss at a point by one more sample.

    Parameters
    ----------
    sizes : numpy.ndarray of int, shape (m,)
        Numbers of samples k.
    changes : numpy.ndarray, shape (m,)
        Mean |L_{k+1} − L_k| over permutations.
    slope : float
        Of log changes against log sizes; −1 for independent samples.
    constant : float
        Mean of (k + 1)·|L_{k+1} − L_k|.
    deviation : float
        Mean absolute deviation of the samples' losses, which the constant must equal for large k.
    """

    sizes: Annotated[Array, Shape("m", dtype=int)]
    changes: Annotated[Array, Shape("m")]
    slope: float
    constant: float
    deviation: float

    @property
    def expected(self) -> Array:
        """Mean absolute deviation over k + 1: the change that independent samples make, shape (m,)."""
        return self.deviation / (self.sizes + 1)
