"""The loss along directions orthogonal to a chart."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["NormalProfile"]


@dataclasses.dataclass(frozen=True, eq=False)
class NormalProfile(Saved, rows=("m", "n")):
    """Loss against parameter distance along normal directions of a chart at one point.

    Parameters
    ----------
    offsets : numpy.ndarray, shape (n,)
        Signed distances in R^P, increasing.
    losses : numpy.ndarray, shape (m, n)
        Loss along each direction; NaN for a direction that does not exist (no normal gradient).
    names : list of str
        What the directions are.
    curvatures : numpy.ndarray, shape (2,)
        Lowest and highest curvature of the loss in the normal space.
    value : float
        Loss at the point.
    rise : float
        Rise of the loss that ends a half-width.
    normal_gradient : float
        Norm of the gradient's normal part.
    name : str
        Name of the chart.
    """

    offsets: Annotated[Array, Shape("n")]
    losses: Annotated[Array, Shape("m", "n")]
    names: Annotated[list[str], Shape("m")]
    curvatures: Annotated[Array, Shape(2)]
    value: float
    rise: float
    normal_gradient: float
    name: str = ""

    @property
    def half_widths(self) -> Array:
        """Distance at which the loss has risen by `rise`, on both sides, shape (m, 2); inf where it has not."""
        widths = np.full((len(self.names), 2), np.inf)
        for i, losses in enumerate(self.losses):
            for side, sign in enumerate((-1, 1)):
                order = np.flatnonzero(sign * self.offsets > 0)[::sign]
                x = np.concatenate([[0.0], np.abs(self.offsets[order])])
                y = np.concatenate([[self.value], losses[order]]) - self.value - self.rise
                above = np.flatnonzero(y[1:] >= 0)
                if not np.isfinite(losses).all():
                    widths[i, side] = np.nan
                elif len(above):
                    k = above[0] + 1
                    widths[i, side] = x[k - 1] + (x[k] - x[k - 1]) * y[k - 1] / (y[k - 1] - y[k])
        return widths
