"""A stretch of a run compared with a quadratic valley."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["StationaryCheck"]


@dataclasses.dataclass(frozen=True, eq=False)
class StationaryCheck(Saved, rows=("k",)):
    """Variances of a run along eigenvectors, and those of SGD in a quadratic valley.

    Parameters
    ----------
    eigenvalues, measured, expected : numpy.ndarray, shape (k,)
        λ, the variance of the iterates along v, and ηC/(λ(2 − ηλ)) times the finite window's factor; NaN where λ ≤ 0.

    Examples
    --------
    >>> import numpy as np
    >>> StationaryCheck(np.array([2.0, 1.0]), np.array([0.2, 0.6]), np.array([0.2, 0.3])).ratio.tolist()
    [1.0, 2.0]
    """

    eigenvalues: Annotated[Array, Shape("k")]
    measured: Annotated[Array, Shape("k")]
    expected: Annotated[Array, Shape("k")]

    @property
    def ratio(self) -> Array:
        """Measured over expected, shape (k,): 1 for a stationary quadratic."""
        return self.measured / self.expected
