"""Points where the loss on a chart is level, and what the chart hides there."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["CriticalPoints"]


@dataclasses.dataclass(frozen=True, eq=False)
class CriticalPoints(Saved, rows=("m",)):
    """Chart-critical points with their verdict in the whole parameter space.

    Parameters
    ----------
    z : numpy.ndarray, shape (m, d)
        Coordinates.
    values : numpy.ndarray, shape (m,)
        Loss there.
    curvatures : numpy.ndarray, shape (m, d)
        Of the loss along the chart, ascending, a unit of parameter distance.
    normal_curvatures : numpy.ndarray, shape (m, 2)
        Lowest and highest curvature of the loss orthogonal to the chart.
    normal_gradients : numpy.ndarray, shape (m,)
        Norm of the gradient's part orthogonal to the chart.
    slope_gains : numpy.ndarray, shape (m,)
        How far the loss falls along the normal part of −∇L within the radius that was searched.
    noise : float
        Changes of the loss below it count as level.
    name : str
        Name of the chart.
    """

    z: Annotated[Array, Shape("m", "d")]
    values: Annotated[Array, Shape("m")]
    curvatures: Annotated[Array, Shape("m", "d")]
    normal_curvatures: Annotated[Array, Shape("m", 2)]
    normal_gradients: Annotated[Array, Shape("m")]
    slope_gains: Annotated[Array, Shape("m")]
    noise: float
    name: str = ""

    @property
    def kinds(self) -> list[str]:
        """What each point is on the chart: minimum, saddle or maximum."""
        return ["minimum" if row[0] > 0 else "maximum" if row[-1] < 0 else "saddle" for row in self.curvatures]

    @property
    def hidden_slope(self) -> Array:
        """Where the loss falls by more than the noise off the chart, shape (m,): no critical point of the loss."""
        return self.slope_gains > self.noise

    @property
    def hidden_saddle(self) -> Array:
        """Where a normal curvature is negative beyond 1 % of the highest, shape (m,): no minimum."""
        low, high = self.normal_curvatures.T
        return low < -0.01 * np.abs(high)
