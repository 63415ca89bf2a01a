"""How much one more sample changes the loss at a point."""

import dataclasses

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved

__all__ = ["SampleConvergence"]


@dataclasses.dataclass(frozen=True, eq=False)
class SampleConvergence(Saved):
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

    sizes: Array
    changes: Array
    slope: float
    constant: float
    deviation: float

    def __post_init__(self) -> None:
        self._keep("sizes", (None,), dtype=np.int64)
        self._keep("changes", self.sizes.shape)

    @property
    def expected(self) -> Array:
        """Mean absolute deviation over k + 1: the change that independent samples make, shape (m,)."""
        return self.deviation / (self.sizes + 1)
