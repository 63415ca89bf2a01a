"""A direction found for the shape of the loss along it."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array, frozen_array
from trajmap.data.archive import Saved

__all__ = ["MinedDirection"]


@dataclasses.dataclass(frozen=True, eq=False)
class MinedDirection(Saved):
    """A direction and the loss along it.

    Parameters
    ----------
    vector : numpy.ndarray, shape (P,)
        The direction; its end, at offset 1, is as far from the point as was asked.
    offsets, losses : numpy.ndarray, shape (n,)
        The loss at θ + offset·vector, from −1.5 to 1.5.
    """

    vector: Array
    offsets: Array
    losses: Array

    def __post_init__(self) -> None:
        offsets = check_array("offsets", self.offsets, (None,), dtype=np.float64)
        losses = check_array("losses", self.losses, offsets.shape, dtype=np.float64)
        vector = check_array("vector", self.vector, (None,))
        for name, value in (("vector", vector), ("offsets", offsets), ("losses", losses)):
            object.__setattr__(self, name, frozen_array(value))
