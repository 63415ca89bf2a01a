"""Curvatures of random directions compared with the spectrum."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["DirectionCurvatures"]


@dataclasses.dataclass(frozen=True, eq=False)
class DirectionCurvatures(Saved, rows=("n",)):
    """Second derivatives dᵀHd along random unit directions.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        Measured.
    mean : float
        Expected mean, tr H/P.
    deviation : float
        Expected standard deviation, √(2 Σ(λ − λ̄)²/(P(P + 2))).
    """

    values: Annotated[Array, Shape("n")]
    mean: float
    deviation: float

    @property
    def share_up(self) -> float:
        """Share of the directions that curve up, in [0, 1]."""
        return float(np.mean(self.values > 0))
