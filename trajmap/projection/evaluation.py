"""Loss and metrics of a block of lifted points, in this process or another."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array
from trajmap.data.frame import Frame
from trajmap.data.results.landscape import Grid
from trajmap.objective.identity import digest_data
from trajmap.objective.objective import Objective
from trajmap.objective.points import ArrayPoints, FramePoints, Points
from trajmap.objective.strategy import Strategy
from trajmap.objective.tuning import evaluator
from trajmap.projection.block_store import Mark
from trajmap.projection.chart import Chart, lift
from trajmap.projection.lifts import PointsSlice
from trajmap.projection.support import PathGeometry

__all__ = ["FrameWork", "WholeWork", "surface_mark"]


class FrameWork:
    """Loss and metrics at coefficients of a frame.

    Parameters
    ----------
    objective : Objective
        The loss.
    points : FramePoints
        Points with this frame, which is shared.
    frame : Frame
        The frame.
    strategy : Strategy
        Strategy of the evaluation.
    """

    def __init__(self, objective: Objective, points: FramePoints, frame: Frame, strategy: Strategy) -> None:
        self._objective, self._points, self._frame, self._strategy = objective, points, frame, strategy
        self._evaluator: Any = None

    def __call__(self, points: Array) -> dict[str, Array]:
        """Evaluate at coefficients, (n, m)."""
        if self._evaluator is None:
            self._points.load()
            self._evaluator = evaluator(self._objective, self._strategy, self._frame)
        return self._evaluator.evaluate(self._points.at(points), points)

    def packed(self, folder: Path) -> "_Filed":
        """Write the frame to files that the processes of one machine share."""
        shape = (self._frame.n_vectors, self._frame.size)
        target = np.lib.format.open_memmap(
            folder / "basis.npy", mode="w+", dtype=np.dtype(self._frame.basis.dtype), shape=shape
        )
        for columns, _, basis in self._frame.blocks():
            target[:, columns] = basis
        target.flush()
        np.save(folder / "origin.npy", self._frame.origin)
        return _Filed(self._objective, folder, self._strategy)


class _Filed:
    """The same with the frame in files, which the workers open."""

    def __init__(self, objective: Objective, folder: Path, strategy: Strategy) -> None:
        self._objective, self._folder, self._strategy = objective, folder, strategy
        self._work: FrameWork | None = None

    def __call__(self, points: Array) -> dict[str, Array]:
        if self._work is None:
            origin, basis = (np.load(self._folder / f"{name}.npy", mmap_mode="r") for name in ("origin", "basis"))
            frame = Frame(origin, basis)
            self._work = FrameWork(
                self._objective, FramePoints(frame, points, self._objective.like), frame, self._strategy
            )
        return self._work(points)

    def packed(self, folder: Path) -> "_Filed":
        """Nothing else needs to be written."""
        return self


class WholeWork:
    """Loss, metrics, and distance from the run for points lifted by a user's own chart.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart.
    strategy : Strategy
        Strategy of the evaluation.
    geometry : PathGeometry, optional
        Geometry of the run.
    """

    def __init__(
        self, objective: Objective, chart: Chart, strategy: Strategy, geometry: PathGeometry | None = None
    ) -> None:
        self._objective, self._chart, self._strategy, self._geometry = objective, chart, strategy, geometry
        self._evaluator: Any = None

    def __call__(self, points: Array) -> dict[str, Array]:
        """Evaluate at coordinates, (n, d)."""
        if self._evaluator is None:  # once per process; it holds a copy of the model, which is not pickled
            self._evaluator = evaluator(self._objective, self._strategy)
        thetas = lift(self._chart, points, self._objective.size)
        found: dict[str, Array] = self._evaluator.evaluate(ArrayPoints(thetas))
        if self._geometry is not None:
            found["distance"] = self._geometry.nearest(thetas)
        return found

    def packed(self, folder: Path) -> "WholeWork":
        """Everything is pickled except the evaluator."""
        return WholeWork(self._objective, self._chart, self._strategy, self._geometry)


def surface_mark(objective: Objective, grid: Grid, block: int, points: Points, *more: float) -> Mark:
    """Make the fingerprint of a surface: layout, grid, data, and the loss at a few of its points.

    Parameters
    ----------
    objective : Objective
        The loss.
    grid : Grid
        The grid.
    block : int
        Points a block.
    points : Points
        Lifted points of the grid, of which three are evaluated.
    *more : float
        Other numbers on which the outputs depend.

    Returns
    -------
    Mark
        Equal in any process with the same work.
    """
    digest = hashlib.sha256(json.dumps([objective.layout.names, objective.layout.shapes, block]).encode())
    for axis in grid.axes:
        digest.update(np.ascontiguousarray(axis, dtype=np.float64).tobytes())
    digest_data(digest, objective)
    chosen = np.linspace(0, len(points) - 1, 5).astype(int)[1:4]
    probes = [PointsSlice(points, int(i), int(i) + 1) for i in chosen]
    plain = evaluator(objective)
    found = [plain.evaluate(probe) for probe in probes]
    values = [np.concatenate(list(one.values())) for one in found]
    values += [np.array(more, dtype=np.float64), *(_sketch(probe, objective) for probe in probes)]
    digest.update(json.dumps(list(found[0])).encode())
    tolerance = min(64 * torch.finfo(objective.like.dtype).eps, 0.01)
    return Mark(digest.hexdigest(), np.concatenate(values), tolerance)


def _sketch(point: Points, objective: Objective) -> Array:
    """Three sums of a point's entries, shifted by its norm so that their relative rounding is small."""
    flat = objective.like.new_empty(objective.size)
    point.write(0, flat)
    shift = 2 * len(flat) ** 0.5 * float(torch.linalg.vector_norm(flat, dtype=torch.float64))
    return np.array([shift + float(flat[k::3].sum(dtype=torch.float64)) for k in range(3)])
