"""The name of a loss curve's shape."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array, frozen_array
from trajmap.data.archive import Saved

__all__ = ["CurveClass"]


@dataclasses.dataclass(frozen=True, eq=False)
class CurveClass(Saved):
    """Minima of a curve, and its name.

    Parameters
    ----------
    name : str
        ``"v-basin"``, ``"v-side"``, ``"w-basin"``, ``"w-peak"``, ``"vvv-basin"``, ``"monotone"``, ``"hill"``,
        ``"flat"`` or ``"k-valley"``.
    positions, depths : numpy.ndarray, shape (m,)
        Where the minima are, and their losses.
    barriers : numpy.ndarray, shape (m - 1,)
        Highest loss between neighbouring minima, above the higher of the two; empty where there are none.
    """

    name: str
    positions: Array
    depths: Array
    barriers: Array

    def __post_init__(self) -> None:
        positions = check_array("positions", self.positions, (None,), dtype=np.float64)
        depths = check_array("depths", self.depths, positions.shape, dtype=np.float64)
        barriers = check_array("barriers", self.barriers, (max(len(positions) - 1, 0),), dtype=np.float64)
        for name, value in (("positions", positions), ("depths", depths), ("barriers", barriers)):
            object.__setattr__(self, name, frozen_array(value))
