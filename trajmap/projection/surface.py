"""The loss over a chart: lift the grid, evaluate, and say where the run supports the picture."""

import dataclasses
import json
import os
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from trajmap._validation import Array, check_count, worded
from trajmap.data.landscape import Grid, Landscape
from trajmap.data.plane import Plane
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.strategy import IN_PLACE, PLAIN, Strategy
from trajmap.objective.tuning import Evaluate, choose_strategy, evaluator, suits
from trajmap.projection.affine import as_plane
from trajmap.projection.blocks import run_blocks
from trajmap.projection.chart import Chart, chart_name, deviation, encode, lift
from trajmap.projection.evidence import axis_labels, lift_area, lift_metrics
from trajmap.projection.support import PathDistance

__all__ = ["surface"]

# below it the trials cost more than they save: they take about as long as forty points
_WORTH_TUNING = 400

Progress = Callable[[int, int], None]


def surface(
    objective: Objective,
    chart: Chart,
    grid: Grid,
    *,
    trajectory: Trajectory | None = None,
    name: str = "",
    block: int = 64,
    strategy: Strategy | None = None,
    executor: Executor | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Landscape:
    """Evaluate the loss at the lifted points of a grid.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        A fitted ``Pipeline(RowSpace(), embedding)``, a `Plane`, or anything with ``transform`` and
        ``inverse_transform``.
    grid : Grid
        Coordinates.
    trajectory : Trajectory, optional
        The run: its path, the loss of its iterates and of their lifts, and the support mask are added.
    name : str
        Name of the chart, for titles; the chart's own by default.
    block : int
        Grid points lifted at a time: block·P numbers are held.
    strategy : Strategy, optional
        How the loss is evaluated. By default the fastest that gives the same values, found on three of the points
        where there are at least 400; it differs between machines, and with it the values' last digits.
    executor : concurrent.futures.Executor, optional
        Where blocks are evaluated: a process pool, ``dask.distributed.Client(...).get_executor()``, or any other
        whose workers see the same file system. The values do not depend on it.
    out : path-like, optional
        Folder for finished blocks: a surface that is killed goes on from there. It is removed in the end.
    progress : callable, optional
        Called with the evaluations done and their number.

    Returns
    -------
    Landscape
        ``values[i, j]`` is the loss at ``(grid.axes[0][i], grid.axes[1][j])``, ``metrics`` the objective's; NaN and
        inf are kept.

    Raises
    ------
    InputError
        If the chart and the grid do not fit; before anything is evaluated.
    LayoutError
        If the trajectory's parameters are not the objective's.

    Examples
    --------
    >>> import torch
    >>> from trajmap.data.plane import Plane
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> bowl = Objective(model, lambda m, x: m(x).square().sum() / 2, [torch.eye(2)])
    >>> grid = Grid((np.array([-1.0, 0, 1]), np.array([0.0, 2])))
    >>> surface(bowl, Plane(np.zeros(2), np.eye(2)), grid).values.tolist()
    [[0.5, 2.5], [0.0, 2.0], [0.5, 2.5]]
    """
    check_count("block", block)
    lift(chart, grid.points[:1], objective.size)
    plane = as_plane(chart, grid.points, objective.size)
    path = None if trajectory is None else _path(objective, chart, grid, trajectory)
    count = _Counting(progress, len(grid.points) + (0 if path is None else 2 * len(path)))
    measure = None if trajectory is None else PathDistance(trajectory.iterates)
    folder = None if out is None else Path(out)
    folder = None if out is None else Path(out)
    if strategy is None:
        strategy = _chosen(objective, chart, plane, grid.points, folder)
    work = _Evaluation(objective, chart, measure, strategy, plane)
    found = run_blocks(work, grid.points, block=block, executor=executor, out=folder, progress=count)
    shaped = {key: values.reshape(grid.shape) for key, values in found.items()}
    metrics = {key: values for key, values in shaped.items() if key not in {"loss", "distance"}}
    title = chart_name(chart, name)
    land = Landscape(grid, shaped["loss"], metrics=metrics, name=title, strategy=str(strategy))
    if trajectory is None or path is None or measure is None:
        return land
    own, lifted, off = _along(objective, chart, trajectory, path, block, count)
    farthest = np.maximum(shaped["distance"], deviation(chart, grid.points).reshape(grid.shape))
    land = dataclasses.replace(
        land,
        path=path,
        distance=shaped["distance"],
        support=farthest <= measure.reach,
        reach=measure.reach,
        path_values=own,
        lifted_values=lifted,
        residuals=off,
    )
    labels = axis_labels(chart, plane, land, measure.variance)
    return _with_evidence(dataclasses.replace(land, labels=labels), chart, plane, farthest)


def _along(
    objective: Objective, chart: Chart, trajectory: Trajectory, path: Array, block: int, count: "_Counting"
) -> tuple[Array, Array, Array]:
    """Losses of the iterates and of their lifts, and the distances between the two."""
    own, lifted, off = [], [], []
    for start in range(0, len(path), block):
        thetas = np.asarray(trajectory.iterates[start : start + block])
        own.append(objective.values(thetas))
        count(len(own[-1]))
        lifts = lift(chart, path[start : start + block], objective.size)
        lifted.append(objective.values(lifts))
        off.append(np.linalg.norm(thetas.astype(np.float64) - lifts, axis=1))
        count(len(lifted[-1]))
    return np.concatenate(own), np.concatenate(lifted), np.concatenate(off)


def _with_evidence(land: Landscape, chart: Chart, plane: Plane | None, reach: Array) -> Landscape:
    """Add the rank and the area of the lift, and what the axes measure; `reach` is each cell's distance and doubt."""
    assert land.path is not None
    assert land.support is not None
    known: Chart = chart if plane is None else plane
    if land.grid.ndim < 2 or not land.support.any():
        return land
    metrics = lift_metrics(known, land.grid, land.support)
    extent = np.array([np.ptp(axis) for axis in land.grid.axes])
    values = np.maximum(np.linalg.eigvalsh(metrics * np.outer(extent, extent)), 0)
    ratio = float(np.median(np.sqrt(values[:, 0] / values[:, -1])))
    if land.grid.ndim != 2:
        return dataclasses.replace(land, rank_ratio=ratio)
    area, narrow, wide = (lift_area(known, land.grid, reach <= k * land.reach) for k in (1, 2, 4))
    return dataclasses.replace(land, rank_ratio=ratio, area=area, spread=float(np.log2(wide / narrow)))


class _Evaluation:
    """Loss, metrics, and distance from the run of the lifts of some coordinates; travels to other processes."""

    def __init__(
        self, objective: Objective, chart: Chart, measure: PathDistance | None, strategy: Strategy, plane: Plane | None
    ) -> None:
        self._objective, self._chart, self._measure = objective, chart, measure
        self._strategy, self._plane = strategy, plane
        self._evaluate: Evaluate | None = None

    def __call__(self, points: Array) -> dict[str, Array]:
        if self._evaluate is None:  # once a process; it holds copies of the model, which do not travel
            self._evaluate = evaluator(self._objective, self._strategy, self._plane)
        thetas = lift(self._chart if self._plane is None else self._plane, points, self._objective.size)
        found = self._evaluate(thetas, points)
        if self._measure is not None:
            found["distance"] = self._measure.nearest(thetas)
        return found

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_evaluate": None}


def _chosen(objective: Objective, chart: Chart, plane: Plane | None, points: Array, out: Path | None) -> Strategy:
    """Choose a strategy, or take the one that an unfinished surface was begun with."""
    label = None if out is None else out / "strategy.json"
    if label is not None and label.exists():
        return Strategy(**json.loads(label.read_text(encoding="ascii")))
    few = len(points) < _WORTH_TUNING
    places = points[np.linspace(0, len(points) - 1, 5).astype(int)[1:4]]
    thetas = lift(chart if plane is None else plane, places, objective.size)
    strategy = IN_PLACE if few and suits(objective, IN_PLACE) else PLAIN
    if not few:
        strategy = choose_strategy(objective, thetas, places, plane)
    if label is not None:
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(json.dumps(dataclasses.asdict(strategy)), encoding="ascii")
    return strategy


def _path(objective: Objective, chart: Chart, grid: Grid, trajectory: Trajectory) -> Array:
    """Coordinates of the iterates, checked against the objective and the grid."""
    objective.layout.require(trajectory.layout, "trajectory")
    path = encode(chart, trajectory.iterates)
    if path.shape[1] != grid.ndim:
        raise InputError(worded("grid", f"{path.shape[1]} axes, one a coordinate of the chart", f"{grid.ndim}"))
    return path


class _Counting:
    """Add up what is done, for the progress."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def __call__(self, n: int) -> None:
        self._done += n
        if self._progress is not None:
            self._progress(self._done, self._total)
