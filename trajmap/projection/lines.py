"""Losses along several lines through one point, each with its class."""

from collections.abc import Mapping

import numpy as np

from trajmap._validation import Array
from trajmap.data.curve_profiles import CurveProfiles
from trajmap.objective.objective import Objective
from trajmap.projection.classify import curve_kind

__all__ = ["line_profiles"]


def line_profiles(
    objective: Objective, point: Array, directions: Mapping[str, Array], offsets: Array, *, through: str
) -> CurveProfiles:
    """Evaluate the loss along lines through a point.

    Parameters
    ----------
    objective : Objective
        The loss.
    point : array-like, shape (P,)
        What lies at offset 0.
    directions : mapping of str to array-like of shape (P,)
        By name.
    offsets : array-like, shape (n,)
        Positions, in lengths of each direction.
    through : str
        What the point is.

    Returns
    -------
    CurveProfiles
        Losses and classes.
    """
    losses = np.array([objective.values(point + offsets[:, None] * row) for row in directions.values()])
    kinds = [curve_kind(offsets, row) for row in losses]
    return CurveProfiles(offsets, losses, list(directions), kinds, through)
