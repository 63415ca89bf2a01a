"""The loss over a chart: lift the grid, evaluate, and say where the run supports the picture."""

from collections.abc import Callable
from typing import Any

import numpy as np

from trajmap._validation import Array, check_count, worded
from trajmap.data.landscape import Grid, Landscape
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.chart import Chart, chart_name, deviation, encode, lift
from trajmap.projection.support import PathDistance

__all__ = ["surface"]

Progress = Callable[[int, int], None]


def surface(
    objective: Objective,
    chart: Chart,
    grid: Grid,
    *,
    trajectory: Trajectory | None = None,
    name: str = "",
    block: int = 64,
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
    progress : callable, optional
        Called with the evaluations done and their number.

    Returns
    -------
    Landscape
        ``values[i, j]`` is the loss at ``(grid.axes[0][i], grid.axes[1][j])``; NaN and inf are kept.

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
    path = None if trajectory is None else _path(objective, chart, grid, trajectory)
    total = len(grid.points) + (0 if path is None else 2 * len(path))
    evaluate = _Counting(objective, progress, total)
    measure = None if trajectory is None else PathDistance(trajectory.iterates)
    values, distances = [], []
    for start in range(0, len(grid.points), block):
        thetas = lift(chart, grid.points[start : start + block], objective.size)
        values.append(evaluate(thetas))
        if measure is not None:
            distances.append(measure.nearest(thetas))
    shaped = np.concatenate(values).reshape(grid.shape)
    title = chart_name(chart, name)
    if trajectory is None or path is None or measure is None:
        return Landscape(grid, shaped, name=title)
    distance = np.concatenate(distances).reshape(grid.shape)
    off = deviation(chart, grid.points).reshape(grid.shape)
    own = [evaluate(trajectory.iterates[i : i + block]) for i in range(0, len(path), block)]
    lifted = [evaluate(lift(chart, path[i : i + block], objective.size)) for i in range(0, len(path), block)]
    return Landscape(
        grid,
        shaped,
        path=path,
        path_values=np.concatenate(own),
        lifted_values=np.concatenate(lifted),
        distance=distance,
        support=(distance <= measure.reach) & (off <= measure.reach),
        reach=measure.reach,
        name=title,
    )


def _path(objective: Objective, chart: Chart, grid: Grid, trajectory: Trajectory) -> Array:
    """Coordinates of the iterates, checked against the objective and the grid."""
    objective.layout.require(trajectory.layout, "trajectory")
    path = encode(chart, trajectory.iterates)
    if path.shape[1] != grid.ndim:
        raise InputError(worded("grid", f"{path.shape[1]} axes, one a coordinate of the chart", f"{grid.ndim}"))
    return path


class _Counting:
    """An objective's values, with progress."""

    def __init__(self, objective: Objective, progress: Progress | None, total: int) -> None:
        self._objective, self._progress = objective, progress
        self._done, self._total = 0, total

    def __call__(self, thetas: Any) -> Array:
        values = self._objective.values(np.asarray(thetas))
        self._done += len(values)
        if self._progress is not None:
            self._progress(self._done, self._total)
        return values
