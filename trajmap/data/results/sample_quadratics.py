"""Second-order expansions of every sample's loss in a subspace."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["SampleQuadratics"]


@dataclasses.dataclass(frozen=True, eq=False)
class SampleQuadratics(Saved, rows=("N",)):
    """Every sample's loss to second order in a subspace of D directions.

    Parameters
    ----------
    values : numpy.ndarray, shape (N,)
        Losses at the point.
    gradients : numpy.ndarray, shape (N, D)
        Along the directions.
    hessians : numpy.ndarray, shape (N, D, D)
        Second derivatives along pairs of directions.
    """

    values: Annotated[Array, Shape("N")]
    gradients: Annotated[Array, Shape("N", "D")]
    hessians: Annotated[Array, Shape("N", "D", "D")]
