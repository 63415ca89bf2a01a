"""The shortest way between two points of a chart, by parameter distance."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["Geodesic"]


@dataclasses.dataclass(frozen=True, eq=False)
class Geodesic(Saved, rows=("n",)):
    """A discrete geodesic of the pull-back metric, with the lengths to compare it with.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, d)
        Coordinates along it, evenly spaced in parameter distance.
    length : float
        Its length in parameter space: never more than `straight`, never less than `chord`.
    straight : float
        Length of the lift of the straight line in coordinates.
    chord : float
        ‖D(b) − D(a)‖, through the space around the manifold.
    path : float
        Length of the lift of a given path; NaN without one.
    converged : bool
        Whether the minimisation ended before its limit.
    """

    points: Annotated[Array, Shape("n", "d")]
    length: float
    straight: float
    chord: float
    path: float = float("nan")
    converged: bool = True
