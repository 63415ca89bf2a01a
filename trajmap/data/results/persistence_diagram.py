"""Births and deaths of the topological features of a landscape."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["PersistenceDiagram"]


@dataclasses.dataclass(frozen=True, eq=False)
class PersistenceDiagram(Saved, rows=("n",)):
    """Pairs (birth, death) of one degree: 0 for basins, 1 for rings around a hill.

    Parameters
    ----------
    pairs : numpy.ndarray, shape (n, 2)
        By descending persistence; a death of inf is an essential class.
    degree : int
        0 or 1.
    """

    pairs: Annotated[Array, Shape("n", 2)]
    degree: int = 0

    def _check(self) -> None:
        order = np.argsort(-(self.pairs[:, 1] - self.pairs[:, 0]), kind="stable")
        self._set("pairs", self.pairs[order])

    @property
    def finite(self) -> Array:
        """Pairs that die, shape (m, 2)."""
        return self.pairs[np.isfinite(self.pairs[:, 1])]
