"""Lifted points for an evaluator: combinations of a frame, or blocks of a user's own lifts."""

from typing import Any

import numpy as np
import torch

from trajmap._validation import Array
from trajmap.objective.memory import frame_budget
from trajmap.objective.objective import Objective
from trajmap.objective.points import ArrayPoints, FramePoints, Points
from trajmap.projection.chart import Chart, lift
from trajmap.projection.frames import frame_coefficients, framed, reduced, require_size

__all__ = ["ChartPoints", "PointsSlice", "block_length", "chart_residuals", "lifted_points", "number_format"]


class PointsSlice(Points):
    """A range of other points.

    Parameters
    ----------
    points : Points
        The points.
    start, stop : int
        First index, and one past the last.
    """

    def __init__(self, points: Points, start: int, stop: int) -> None:
        self._points, self._start = points, start
        self._length = max(0, min(stop, len(points)) - start)

    def __len__(self) -> int:
        return self._length

    def write(self, i: int, out: torch.Tensor) -> None:
        """Write a point of the range."""
        self._points.write(self._start + i, out)


class ChartPoints(Points):
    """Points lifted in blocks by a user's own chart.

    Parameters
    ----------
    chart : Chart
        An object with ``transform`` and ``inverse_transform``.
    Z : numpy.ndarray, shape (n, d)
        Coordinates.
    size : int
        P.
    block : int
        Points lifted at a time.
    """

    def __init__(self, chart: Chart, Z: Array, size: int, block: int) -> None:
        self._chart, self._Z, self._size, self._block = chart, Z, size, block
        self._start = -1
        self._points = ArrayPoints(np.empty((0, size)))

    def __len__(self) -> int:
        return len(self._Z)

    def write(self, i: int, out: torch.Tensor) -> None:
        """Write a point from its block, which is kept until another block is needed."""
        start = i - i % self._block
        if start != self._start:
            self._points = ArrayPoints(lift(self._chart, self._Z[start : start + self._block], self._size))
            self._start = start
        self._points.write(i - start, out)


def lifted_points(objective: Objective, chart: Chart, Z: Array, *, block: int = 64) -> Points:
    """Lift coordinates for an evaluator.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart.
    Z : numpy.ndarray, shape (n, d)
        Coordinates.
    block : int
        Maximum number of points that a chart without a frame lifts at a time.

    Returns
    -------
    Points
        The points; for a chart with a frame no array of size P is made per point.
    """
    known = framed(chart)
    if known is None:
        return ChartPoints(chart, Z, objective.size, block_length(objective, block))
    frame = known.frame()
    require_size(frame, objective.size)
    C = frame_coefficients(known, frame, Z)
    few, turn = reduced(frame, C, number_format(objective.like))
    return FramePoints(few, C @ turn, objective.like)


def chart_residuals(chart: Chart, path: Array, iterates: Any, block: int) -> Array:
    """Distances of iterates from their lifts by a user's own chart, (T,)."""
    found = []
    for start in range(0, len(path), block):
        lifts = lift(chart, path[start : start + block])
        found += [np.linalg.norm(np.asarray(iterates[start + i], np.float64) - row) for i, row in enumerate(lifts)]
    return np.array(found)


def block_length(objective: Objective, block: int) -> int:
    """Points of P float64 numbers that fit twice in the memory budget, at most `block`."""
    each = 2 * 8 * objective.size
    return max(1, min(block, int(frame_budget(torch.device("cpu")) // each)))


def number_format(like: torch.Tensor) -> np.dtype[np.float64] | np.dtype[np.float32]:
    """NumPy dtype that holds a tensor's numbers."""
    return np.dtype(np.float64) if like.dtype == torch.float64 else np.dtype(np.float32)
