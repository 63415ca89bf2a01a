"""Losses on the straight ways to equal networks whose hidden units changed places."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.path_climb import barrier_height
from trajmap.data.shapes import Shape

__all__ = ["PermutationPaths"]


@dataclasses.dataclass(frozen=True, eq=False)
class PermutationPaths(Saved, rows=("m", "n_draws", "n")):
    """Losses between a solution and copies of it with pairs of units swapped, by the number of units.

    Parameters
    ----------
    counts : numpy.ndarray of int, shape (m,)
        Units that changed places.
    t : numpy.ndarray, shape (n,)
        Positions, from 0 to 1.
    losses : numpy.ndarray, shape (m, n_draws, n)
        Losses; a swap is its own inverse, so each row is symmetric up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> PermutationPaths(np.array([2]), np.linspace(0, 1, 3), np.array([[[1.0, 3, 1]]])).barriers.tolist()
    [[2.0]]
    """

    counts: Annotated[Array, Shape("m", dtype=int)]
    t: Annotated[Array, Shape("n")]
    losses: Annotated[Array, Shape("m", "n_draws", "n")]

    @property
    def barriers(self) -> Array:
        """Highest loss of each way above its ends', shape (m, n_draws)."""
        return barrier_height(self.losses)
