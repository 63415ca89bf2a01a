"""Barriers between every two of several points."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape
from trajmap.errors import InputError

__all__ = ["Barriers"]


@dataclasses.dataclass(frozen=True, eq=False)
class Barriers(Saved, rows=("m",)):
    """A symmetric table of barriers, and the height that sister runs reach by chance.

    Parameters
    ----------
    names : list of str
        The points, as names of runs.
    values : numpy.ndarray, shape (m, m)
        max_t L((1 − t) a + t b) − ½ (L(a) + L(b)), in units of the loss; 0 on the diagonal.
    matched : bool
        Whether hidden units were matched first.
    noise : float
        Highest barrier between runs known to share a basin; NaN without any.

    Raises
    ------
    InputError
        If the table is not symmetric.
    """

    names: Annotated[list[str], Shape("m")]
    values: Annotated[Array, Shape("m", "m")]
    matched: bool = False
    noise: float = float("nan")

    def _check(self) -> None:
        if not np.array_equal(self.values, self.values.T, equal_nan=True):
            raise InputError(worded("values", "a symmetric table", "another"))

    @property
    def basins(self) -> list[list[str]]:
        """Runs joined by barriers within the noise, chained: each list is one basin, judged by segments."""
        from scipy.sparse.csgraph import connected_components

        within = np.nan_to_num(self.values, nan=np.inf) <= (self.noise if np.isfinite(self.noise) else 0.0)
        _, label = connected_components(within, directed=False)
        return [[self.names[i] for i in np.flatnonzero(label == k)] for k in range(label.max() + 1)]
