"""How far an eigenspace moves along a run."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["EigenspaceDrift"]


@dataclasses.dataclass(frozen=True, eq=False)
class EigenspaceDrift(Saved, rows=("m",)):
    """How far the eigenspace moves between successive iterates, and from the first.

    Parameters
    ----------
    overlaps : numpy.ndarray, shape (m, 2)
        Of each eigenspace after the first with the one before and with the first, in [0, 1]; k/P for a random subspace.
    distances : numpy.ndarray, shape (m,)
        Grassmann distance from the one before, in radians.
    """

    overlaps: Annotated[Array, Shape("m", 2)]
    distances: Annotated[Array, Shape("m")]
