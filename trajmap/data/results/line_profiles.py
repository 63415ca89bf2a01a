"""Losses along several lines through one point."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["LineProfiles", "side_asymmetry"]


def side_asymmetry(offsets: Array, losses: Array) -> float:
    """Compare the mean rises on both sides of offset 0: (right − left)/(|right| + |left|), 0 where nothing rises."""
    middle = float(np.interp(0.0, offsets, losses))
    right, left = (float(np.mean(losses[side] - middle)) for side in (offsets > 0, offsets < 0))
    # a NaN on either side is kept; flat on both is symmetric
    return (right - left) / (abs(right) + abs(left)) if right or left else 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class LineProfiles(Saved, rows=("m", "n")):
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

    offsets: Annotated[Array, Shape("n")]
    losses: Annotated[Array, Shape("m", "n")]
    names: Annotated[list[str], Shape("m")]
    kinds: Annotated[list[str], Shape("m")]
    through: str = "the end of the run"

    @property
    def asymmetries(self) -> Array:
        """How much faster each curve rises to the right of 0 than to the left, in [−1, 1], shape (m,)."""
        return np.array([side_asymmetry(self.offsets, row) for row in self.losses])
