"""Losses of several trainings from one point."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["TrainingCurves"]


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingCurves(Saved, rows=("m", "n")):
    """Loss by step of trainings that differ in one thing.

    Parameters
    ----------
    steps : numpy.ndarray, shape (n,)
        Where the loss was taken, from 0.
    losses : numpy.ndarray, shape (m, n)
        Full loss of each training; NaN and inf are kept.
    names : list of str
        What each training was.
    """

    steps: Annotated[Array, Shape("n")]
    losses: Annotated[Array, Shape("m", "n")]
    names: Annotated[list[str], Shape("m")]

    @property
    def final(self) -> dict[str, float]:
        """Last loss by name."""
        return {name: float(row[-1]) for name, row in zip(self.names, self.losses, strict=True)}
