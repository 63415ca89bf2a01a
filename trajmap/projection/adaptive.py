"""A surface with more evaluations where the loss curves."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_count, check_positive
from trajmap.data.progress import Counted, Progress
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective
from trajmap.objective.tuning import evaluator
from trajmap.projection.chart import Chart
from trajmap.projection.lifts import PointsSlice, lifted_points
from trajmap.projection.surfaces import surface

__all__ = ["refined_surface"]


def refined_surface(
    objective: Objective,
    chart: Chart,
    grid: Grid,
    *,
    levels: int = 2,
    tolerance: float = 0.01,
    trajectory: Trajectory | None = None,
    progress: Progress | None = None,
) -> Landscape:
    """Evaluate a coarse grid, then halve its spacing where linear interpolation is inaccurate.

    At each level a new grid point is evaluated if the second differences around it predict an interpolation error above
    `tolerance`, or if a neighbour is NaN or inf. Otherwise it is interpolated and marked.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart.
    grid : Grid
        The coarse grid.
    levels : int
        Number of halvings.
    tolerance : float
        Allowed error, as a fraction of the range of the coarse grid's finite losses.
    trajectory : Trajectory, optional
        As for `surface`; path and support come from the coarse grid, on the fine grid's cells.
    progress : callable, optional
        Called with the number of evaluated points and the number known to be needed.

    Returns
    -------
    Landscape
        On the fine grid; ``metrics["evaluated"]`` is 1 where the loss was evaluated and 0 where it is interpolated.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> import torch
    >>> from trajmap.data.plane import Plane
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> kink = Objective(model, lambda m, x: m(x).abs().sum(), [torch.eye(1)])
    >>> found = refined_surface(kink, Plane(np.zeros(1), np.eye(1)), Grid((np.linspace(-1, 1.1, 8),)), levels=2)
    >>> found.values.shape, bool(found.metrics["evaluated"].mean() < 0.6)
    ((29,), True)
    """
    check_positive("tolerance", tolerance)
    land = surface(objective, chart, grid, trajectory=trajectory, progress=progress)
    finite = land.values[np.isfinite(land.values)]
    allowed = tolerance * float(np.ptp(finite)) if len(finite) else 0.0
    values, evaluated, fine = land.values, np.ones(land.values.shape), grid
    evaluate = evaluator(objective).evaluate
    for _ in range(check_count("levels", levels)):
        need, values, evaluated, fine = _halved(values, evaluated, fine, allowed)
        places = np.flatnonzero(need.ravel())
        points = lifted_points(objective, chart, fine.points[places])
        count = Counted(progress, len(points))
        for start in range(0, len(points), 64):
            block = PointsSlice(points, start, start + 64)
            values.flat[places[start : start + 64]] = evaluate(block, only=["loss"])["loss"]
            count(len(block))
        evaluated[need] = 1.0
    if trajectory is None:
        return Landscape(fine, values, metrics={"evaluated": evaluated}, name=land.name, scale=land.scale)
    assert land.support is not None
    nearest = np.ix_(
        *(np.abs(axis[:, None] - old).argmin(axis=1) for axis, old in zip(fine.axes, grid.axes, strict=True))
    )
    support, distance = land.support[nearest], None if land.distance is None else land.distance[nearest]
    return dataclasses.replace(
        land, grid=fine, values=values, metrics={"evaluated": evaluated}, support=support, distance=distance
    )


def _halved(values: Array, evaluated: Array, grid: Grid, allowed: float) -> tuple[Array, Array, Array, Grid]:
    """Interpolate on the grid of half the spacing, and mark the new points that need an evaluation."""
    bend = np.zeros(values.shape)
    for axis in range(values.ndim):
        with np.errstate(invalid="ignore"):
            second = np.abs(np.diff(values, 2, axis=axis)) / 8  # the error of linear interpolation at a midpoint
        width = [(1, 1) if i == axis else (0, 0) for i in range(values.ndim)]
        bend = bend + np.pad(second, width, mode="edge") if second.size else np.full(values.shape, np.inf)
    need = ~(bend <= allowed)
    new = np.zeros(values.shape, dtype=bool)
    for axis in range(values.ndim):
        values, need = _between(values, axis), _between(need.astype(float), axis) > 0
        old, new = evaluated, _between(new.astype(float), axis) > 0
        evaluated = np.zeros(values.shape)
        place = [slice(None)] * values.ndim
        place[axis] = slice(0, None, 2)
        evaluated[tuple(place)] = old
        odd = [slice(None)] * values.ndim
        odd[axis] = slice(1, None, 2)
        new[tuple(odd)] = True
    axes = tuple(_between(axis, 0) for axis in grid.axes)
    return need & new & (evaluated == 0), values, evaluated, Grid(axes)


def _between(values: Array, axis: int) -> Array:
    """Insert the means of neighbours along an axis."""
    moved = np.moveaxis(values, axis, 0)
    out = np.empty((2 * len(moved) - 1, *moved.shape[1:]))
    out[::2] = moved
    with np.errstate(invalid="ignore"):
        out[1::2] = (moved[1:] + moved[:-1]) / 2
    return np.moveaxis(out, 0, axis)
