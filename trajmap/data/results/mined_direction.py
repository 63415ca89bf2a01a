"""A direction found for the shape of the loss along it."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["MinedDirection"]


@dataclasses.dataclass(frozen=True, eq=False)
class MinedDirection(Saved, rows=("n",)):
    """A direction and the loss along it.

    Parameters
    ----------
    vector : numpy.ndarray, shape (P,)
        The direction; its end, at offset 1, is as far from the point as was asked.
    offsets, losses : numpy.ndarray, shape (n,)
        The loss at θ + offset·vector, from −1.5 to 1.5.
    """

    vector: Annotated[Array, Shape("P", dtype=None)]
    offsets: Annotated[Array, Shape("n")]
    losses: Annotated[Array, Shape("n")]
