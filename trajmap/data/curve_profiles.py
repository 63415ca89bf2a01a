"""Losses along several lines through one point."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array, frozen_array, worded
from trajmap.data.archive import Saved
from trajmap.errors import InputError

__all__ = ["CurveProfiles"]


@dataclasses.dataclass(frozen=True, eq=False)
class CurveProfiles(Saved):
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
        The class of each curve, from ``classify_curve``.
    """

    offsets: Array
    losses: Array
    names: list[str]
    kinds: list[str]

    def __post_init__(self) -> None:
        offsets = check_array("offsets", self.offsets, (None,), dtype=np.float64)
        losses = check_array("losses", self.losses, (len(self.names), len(offsets)), dtype=np.float64)
        if len(self.kinds) != len(self.names):
            raise InputError(worded("kinds", f"{len(self.names)} words, one a name", f"{len(self.kinds)}"))
        object.__setattr__(self, "offsets", frozen_array(offsets))
        object.__setattr__(self, "losses", frozen_array(losses))
