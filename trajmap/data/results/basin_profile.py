"""The widths of basins by level."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["BasinProfile"]


@dataclasses.dataclass(frozen=True, eq=False)
class BasinProfile(Saved, rows=("m", "levels")):
    """How wide each basin of a landscape is at each level: a landscape of any dimension, drawn in two.

    Parameters
    ----------
    heights : numpy.ndarray, shape (m, levels)
        From the birth of each basin to its death, or to the top for essential ones.
    widths : numpy.ndarray, shape (m, levels)
        Vertices of the basin at or below each height.
    """

    heights: Annotated[Array, Shape("m", "levels")]
    widths: Annotated[Array, Shape("m", "levels")]
