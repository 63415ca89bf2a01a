"""Losses along several lines through one point."""

import dataclasses

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.archive import Saved
from trajmap.errors import InputError

__all__ = ["LineProfiles", "side_asymmetry"]


def side_asymmetry(offsets: Array, losses: Array) -> float:
    """Compare the mean rises on both sides of offset 0: (right − left)/(|right| + |left|), 0 where nothing rises."""
    middle = float(np.interp(0.0, offsets, losses))
    right, left = (float(np.mean(losses[side] - middle)) for side in (offsets > 0, offsets < 0))
    # a NaN on either side is kept; flat on both is symmetric
    return (right - left) / (abs(right) + abs(left)) if right or left else 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class LineProfiles(Saved):
    """Loss curves through a model at offset 0, each with what it was asked to be and what it is.

    Parameters
    ----------
    offsets : numpy.ndarray, shape (n,)
        Positions, in units of each direction's own length.
    losses : numpy.ndarray, shape (m, n)
        Loss along each direction; NaN and inf are kept.
    names : list of str
        What each direction is.
    kinds : list of str
        The class of each curve, from ``classify_line``.
    through : str
        What lies at offset 0.
    """

    offsets: Array
    losses: Array
    names: list[str]
    kinds: list[str]
    through: str = "the end of the run"

    def __post_init__(self) -> None:
        self._keep("offsets", (None,))
        self._keep("losses", (len(self.names), len(self.offsets)))
        if len(self.kinds) != len(self.names):
            raise InputError(worded("kinds", f"{len(self.names)} words, one a name", f"{len(self.kinds)}"))

    @property
    def asymmetries(self) -> Array:
        """How much faster each curve rises to the right of 0 than to the left, in [−1, 1], shape (m,)."""
        return np.array([side_asymmetry(self.offsets, row) for row in self.losses])
