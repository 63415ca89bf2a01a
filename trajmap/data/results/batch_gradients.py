"""Gradients of the loss on pieces of the data."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["BatchGradients"]


@dataclasses.dataclass(frozen=True, eq=False)
class BatchGradients(Saved, rows=("B",)):
    """Gradients of the loss on each batch, or on pieces of batches, with their shares.

    Parameters
    ----------
    gradients : numpy.ndarray, shape (B, P)
        One row a piece, in the model's number format.
    weights : numpy.ndarray, shape (B,)
        Shares, which sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> BatchGradients(np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([0.5, 0.5])).mean.tolist()
    [2.0, 1.0]
    """

    gradients: Annotated[Array, Shape("B", "P", dtype=None)]
    weights: Annotated[Array, Shape("B")]

    @property
    def mean(self) -> Array:
        """Gradient of the whole loss, shape (P,)."""
        return self.weights @ self.gradients
