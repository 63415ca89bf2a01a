"""A direction found for the shape of the loss along it."""

import dataclasses

from trajmap._validation import Array
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
        self._keep("offsets", (None,))
        self._keep("losses", self.offsets.shape)
        self._keep("vector", (None,), dtype=None)
