"""The widths of basins by level."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array, frozen_array
from trajmap.data.archive import Saved

__all__ = ["BasinProfile"]


@dataclasses.dataclass(frozen=True, eq=False)
class BasinProfile(Saved):
    """How wide each basin of a landscape is at each level: a landscape of any dimension, drawn in two.

    Parameters
    ----------
    heights : numpy.ndarray, shape (m, levels)
        From the birth of each basin to its death, or to the top for essential ones.
    widths : numpy.ndarray, shape (m, levels)
        Vertices of the basin at or below each height.
    """

    heights: Array
    widths: Array

    def __post_init__(self) -> None:
        heights = check_array("heights", self.heights, (None, None), dtype=np.float64)
        widths = check_array("widths", self.widths, heights.shape, dtype=np.float64)
        object.__setattr__(self, "heights", frozen_array(heights))
        object.__setattr__(self, "widths", frozen_array(widths))
