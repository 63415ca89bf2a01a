"""The name of a loss curve's shape."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["LineClass"]


@dataclasses.dataclass(frozen=True, eq=False)
class LineClass(Saved, rows=("m",)):
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
    positions: Annotated[Array, Shape("m")]
    depths: Annotated[Array, Shape("m")]
    barriers: Annotated[Array, Shape("m - 1")]
