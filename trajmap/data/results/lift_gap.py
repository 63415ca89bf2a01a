"""The loss of each iterate and of its lift."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["LiftGap"]


@dataclasses.dataclass(frozen=True, eq=False)
class LiftGap(Saved, rows=("m",)):
    """Loss L(θ_t), loss of the lift L(D(Eθ_t)), and how far apart the two points are.

    Parameters
    ----------
    steps : numpy.ndarray, shape (m,)
        Optimizer steps of the compared iterates.
    values : numpy.ndarray, shape (m,)
        Loss of the iterates.
    lifted_values : numpy.ndarray, shape (m,)
        Loss of their lifts.
    residuals : numpy.ndarray, shape (m,)
        Distance ‖θ_t − D(Eθ_t)‖ in R^P.
    control_values : numpy.ndarray, shape (m,)
        Loss of θ_t moved by as much in a random direction: what the distance alone would cost.
    name : str
        Name of the chart.
    first_order, second_order : numpy.ndarray, shape (m,), or None
        −gᵀr and ½ rᵀHr at θ_t, with r the iterate minus its lift: together the gap of a quadratic loss.
    """

    steps: Annotated[Array, Shape("m")]
    values: Annotated[Array, Shape("m")]
    lifted_values: Annotated[Array, Shape("m")]
    residuals: Annotated[Array, Shape("m")]
    control_values: Annotated[Array, Shape("m")]
    name: str = ""
    first_order: Annotated[Array, Shape("m")] | None = None
    second_order: Annotated[Array, Shape("m")] | None = None

    @property
    def gap(self) -> Array:
        """Δ_t = L(lift of θ_t) − L(θ_t), shape (m,), in units of the loss.

        Negative where the lift denoises, as weight averaging does; positive where it leaves the valley.
        """
        return self.lifted_values - self.values

    @property
    def summary(self) -> dict[str, float]:
        """Median gap, the 90 % quantile and the worst of its size, and the control's median; NaN is left out."""
        size = np.abs(self.gap)
        return {
            "median": float(np.nanmedian(self.gap)),
            "q90": float(np.nanquantile(size, 0.9)),
            "worst": float(np.nanmax(size)),
            "control": float(np.nanmedian(self.control_values - self.values)),
        }
