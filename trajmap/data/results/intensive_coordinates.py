"""Models as points whose squared distances measure the difference of their predictions."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["IntensiveCoordinates"]


@dataclasses.dataclass(frozen=True, eq=False)
class IntensiveCoordinates(Saved, rows=("T",)):
    """Coordinates in which squared Minkowski distances are Bhattacharyya distances.

    Parameters
    ----------
    coordinates : numpy.ndarray, shape (T, k)
        √|λ| v, one row a model.
    eigenvalues : numpy.ndarray, shape (k,)
        By size; negative ones belong to time-like coordinates, whose squares count negatively in the distance.
    """

    coordinates: Annotated[Array, Shape("T", "k")]
    eigenvalues: Annotated[Array, Shape("k")]
