"""Points moved by given lengths in random directions: the effect of distance alone on the loss."""

import numpy as np
import torch

from trajmap._validation import Array
from trajmap.objective.points import Points

__all__ = ["MovedPoints"]


class MovedPoints(Points):
    """Points, each moved by its length in a random direction; they must be read in order.

    Parameters
    ----------
    points : Points
        The points.
    lengths : numpy.ndarray, shape (n,)
        Length of each move.
    size : int
        P.
    rng : numpy.random.Generator
        Source of the directions.
    """

    def __init__(self, points: Points, lengths: Array, size: int, rng: np.random.Generator) -> None:
        self._points, self._lengths, self._size, self._rng = points, lengths, size, rng

    def __len__(self) -> int:
        return len(self._points)

    def write(self, i: int, out: torch.Tensor) -> None:
        """Write the point, and move it."""
        self._points.write(i, out)
        noise = self._rng.standard_normal(self._size)
        out.add_(torch.from_numpy(noise).to(out), alpha=float(self._lengths[i] / np.linalg.norm(noise)))
