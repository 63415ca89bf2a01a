"""Losses of several trainings from one point."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array, frozen_array
from trajmap.data.archive import Saved

__all__ = ["TrainingCurves"]


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingCurves(Saved):
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

    steps: Array
    losses: Array
    names: list[str]

    def __post_init__(self) -> None:
        steps = check_array("steps", self.steps, (None,), dtype=np.float64)
        losses = check_array("losses", self.losses, (len(self.names), len(steps)), dtype=np.float64)
        object.__setattr__(self, "steps", frozen_array(steps))
        object.__setattr__(self, "losses", frozen_array(losses))

    @property
    def final(self) -> dict[str, float]:
        """Last loss by name."""
        return {name: float(row[-1]) for name, row in zip(self.names, self.losses, strict=True)}
