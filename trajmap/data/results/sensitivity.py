"""Diagonal derivatives of a loss by variable."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["Sensitivity"]


@dataclasses.dataclass(frozen=True, eq=False)
class Sensitivity(Saved, rows=("n", "orders", "variables")):
    """Derivatives of order 1, 2, … by each variable, over one or several points.

    Parameters
    ----------
    values : numpy.ndarray, shape (n, orders, variables)
        ∂ᵏL/∂vⱼᵏ at each of n points: one, the iterates of a path, or retrainings.
    names : list of str
        Of the variables.
    """

    values: Annotated[Array, Shape("n", "orders", "variables")]
    names: Annotated[list[str], Shape("variables")]

    @property
    def mean(self) -> Array:
        """Mean of the absolute values over the points, shape (orders, variables)."""
        return np.abs(self.values).mean(axis=0)

    def order(self, k: int) -> Array:
        """Take the derivatives of order k at all points, shape (n, variables)."""
        return self.values[:, k - 1]
