"""Births and deaths of the topological features of a landscape."""

import dataclasses

import numpy as np

from trajmap._validation import Array, frozen_array
from trajmap.data.archive import Saved

__all__ = ["PersistenceDiagram"]


@dataclasses.dataclass(frozen=True, eq=False)
class PersistenceDiagram(Saved):
    """Pairs (birth, death) of one degree: 0 for basins, 1 for rings around a hill.

    Parameters
    ----------
    pairs : numpy.ndarray, shape (n, 2)
        By descending persistence; a death of inf is an essential class.
    degree : int
        0 or 1.
    """

    pairs: Array
    degree: int = 0

    def __post_init__(self) -> None:
        self._keep("pairs", (None, 2))
        order = np.argsort(-(self.pairs[:, 1] - self.pairs[:, 0]), kind="stable")
        object.__setattr__(self, "pairs", frozen_array(self.pairs[order]))

    @property
    def finite(self) -> Array:
        """Pairs that die, shape (m, 2)."""
        return self.pairs[np.isfinite(self.pairs[:, 1])]
