"""The loss over a chart: lift the grid, evaluate, and mark where the run supports the picture."""

import dataclasses
import os
from concurrent.futures import Executor
from typing import Any

import numpy as np

from trajmap._validation import Array, check_choice, check_count, worded
from trajmap.data.fan import Fan
from trajmap.data.frame import Frame
from trajmap.data.places import even_places
from trajmap.data.plane import Plane
from trajmap.data.progress import Counted, Progress
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.points import ArrayPoints, FramePoints, Points
from trajmap.objective.precision import half_precision, strategy_error
from trajmap.objective.strategy import Strategy
from trajmap.objective.tuning import choose_strategy, evaluator
from trajmap.projection.affine_charts import affine, as_plane
from trajmap.projection.block_store import BlockStore
from trajmap.projection.blocks import Work, run_blocks
from trajmap.projection.chart import Chart, chart_name, deviation, encode, lift, require_chart
from trajmap.projection.evaluation import FrameWork, WholeWork, surface_mark
from trajmap.projection.evidence import axis_labels, axis_scale, lift_area, lift_metrics
from trajmap.projection.frames import Framed, frame_coefficients, framed, reduced, require_size
from trajmap.projection.lift_maps import FrameMap, LiftMap, WholeMap
from trajmap.projection.lifts import ChartPoints, PointsSlice, block_length, chart_residuals, number_format
from trajmap.projection.support import PathGeometry

__all__ = ["surface"]


def surface(  # ruff: ignore[too-many-arguments] - each option is an independent choice with a default
    objective: Objective,
    chart: Chart,
    grid: Grid,
    *,
    trajectory: Trajectory | Fan | None = None,
    name: str = "",
    block: int = 64,
    strategy: Strategy | None = None,
    precision: str | None = None,
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
        ``inverse_transform``. If it has a frame (those two, a fitted PCA, or any chart with ``frame`` and
        ``coefficients``), a lifted point is stored as a few numbers; otherwise whole points are lifted in blocks.
    grid : Grid
        Coordinates.
    trajectory : Trajectory or Fan, optional
        The run, or several: the path, the loss of its iterates and of their lifts, and the support mask are added.
    name : str
        Name of the chart, for titles; the chart's own by default.
    block : int
        Grid points per block of work. A chart without a frame lifts as many at a time, or fewer if 2·block points do
        not fit in the memory budget.
    strategy : Strategy, optional
        Strategy of the evaluation. By default the fastest with the same values, found by trials on three points if this
        can save time. It depends on the machine, and so do the values' last digits.
    precision : str, optional
        ``"bfloat16"``: run the model under torch's autocast, with images channels-last on an accelerator. The largest
        relative difference at nine grid points is measured and reported in ``land.strategy``.
    executor : concurrent.futures.Executor, optional
        Executor of the blocks: a process pool, ``dask.distributed.Client(...).get_executor()``, or any other whose
        workers share the file system. The values do not depend on it.
    out : path-like, optional
        Folder for finished blocks: after an interruption, the same call in any process continues from them. If loss,
        data, chart or grid have changed, which is checked by the losses at three grid points, the surface starts again
        with a warning. The blocks are removed at the end.
    progress : callable, optional
        Called with the number of evaluations done and the total.

    Returns
    -------
    Landscape
        ``values[i, j]`` is the loss at ``(grid.axes[0][i], grid.axes[1][j])``, ``metrics`` the objective's; NaN and
        inf are kept.

    Raises
    ------
    InputError
        If the chart and the grid do not fit; raised before anything is evaluated.
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
    if isinstance(trajectory, Trajectory):
        objective = objective.along(trajectory)
    seen = _see(objective, chart, grid, trajectory, check_count("block", block))
    count = Counted(progress, len(grid.points) + (0 if seen.path is None else 2 * len(seen.path)))
    store = None
    if out is not None:
        geometry = seen.geometry
        more = () if geometry is None else (geometry.reach, geometry.variance)
        store = BlockStore(out, surface_mark(objective, grid, seen.block, seen.grid, *more))
    if precision is not None:
        check_choice("precision", precision, ("bfloat16",))
        strategy = half_precision(objective, strategy)
    if strategy is None:
        strategy = _chosen(objective, seen, store)
    # the work and the evaluator's copies of the model are freed after this line
    found = run_blocks(seen.work(strategy), seen.rows, block=seen.block, executor=executor, store=store, progress=count)
    if seen.known is not None and seen.geometry is not None:
        found["distance"] = seen.geometry.of_lifted(0, len(grid.points))
    shaped = {key: values.reshape(grid.shape) for key, values in found.items()}
    metrics = {key: values for key, values in shaped.items() if key not in {"loss", "distance"}}
    title = chart_name(chart, name)
    land = Landscape(grid, shaped["loss"], metrics=metrics, name=title, strategy=seen.words(strategy))
    lift_map, gram = seen.map()
    if trajectory is None or seen.path is None or seen.geometry is None:
        return dataclasses.replace(land, scale=axis_scale(lift_map, gram, grid, None))
    own, lifted = _along(objective, seen, trajectory, strategy, count)
    farthest = np.maximum(shaped["distance"], deviation(chart, grid.points).reshape(grid.shape))
    supported = farthest <= seen.geometry.reach
    land = dataclasses.replace(
        land,
        path=seen.path,
        distance=shaped["distance"],
        support=supported,
        reach=seen.geometry.reach,
        path_values=own,
        lifted_values=lifted,
        residuals=seen.residuals(trajectory),
        runs=trajectory.lengths if isinstance(trajectory, Fan) else {},
        scale=axis_scale(lift_map, gram, grid, supported),
    )
    labels = axis_labels(gram, objective.size, land, seen.geometry.variance)
    return _with_evidence(dataclasses.replace(land, labels=labels), lift_map, farthest)


@dataclasses.dataclass(eq=False)
class _Seen:
    """A chart over a grid and a run, prepared for evaluation."""

    objective: Objective
    chart: Chart
    block: int
    rows: Array  # inputs of the work, one row per grid point: coefficients, or coordinates
    path: Array | None = None
    known: Framed | None = None
    slope: Array | None = None  # of the coefficients, if they are affine
    frame: Frame | None = None  # as few vectors as the points need
    points: FramePoints | None = None  # the grid's, then the path's
    geometry: PathGeometry | None = None

    @property
    def flat(self) -> Frame | None:
        """The frame of a flat chart."""
        return None if self.slope is None else self.frame

    @property
    def grid(self) -> Points:
        """Lifts of the grid's points."""
        if self.points is None:
            return ChartPoints(self.chart, self.rows, self.objective.size, self.block)
        return PointsSlice(self.points, 0, len(self.rows))

    def along(self) -> Points:
        """Lifts of the path."""
        assert self.path is not None
        if self.points is None:
            return ChartPoints(self.chart, self.path, self.objective.size, self.block)
        return PointsSlice(self.points, len(self.rows), len(self.points))

    def residuals(self, trajectory: Trajectory | Fan) -> Array:
        """Distances of the iterates from their lifts."""
        assert self.path is not None
        assert self.geometry is not None
        if self.known is not None:
            return self.geometry.residuals(len(self.rows))
        return chart_residuals(self.chart, self.path, trajectory.iterates, self.block)

    def work(self, strategy: Strategy) -> Work:
        """Make the work on a block."""
        if self.points is None or self.frame is None:
            return WholeWork(self.objective, self.chart, strategy, self.geometry)
        return FrameWork(self.objective, self.points, self.frame, strategy)

    def words(self, strategy: Strategy) -> str:
        """Describe the evaluation of the losses, and the error of a narrower number format."""
        if not strategy.bfloat16:
            return str(strategy)
        places = even_places(len(self.rows), 9)  # from corner to corner
        way, whole = dataclasses.replace(strategy, planes=False), self.grid
        error = max(strategy_error(self.objective, way, PointsSlice(whole, int(i), int(i) + 1)) for i in places)
        return f"{strategy} (relative error {error:.1e} at {len(places)} grid points)"

    def map(self) -> tuple[LiftMap, Array | None]:
        """Return the lift up to an isometry, and inner products of the directions of a flat chart."""
        if self.known is None:
            return WholeMap(self.chart), None
        found = FrameMap(self.known, None, self.slope)
        if self.slope is None:
            return found, None
        slope = found.at(self.slope)
        gram = slope @ slope.T
        lengths = np.sqrt(np.diag(gram))
        # dependent directions cannot be axes of a plane
        flat = lengths.all() and np.linalg.eigvalsh(gram / np.outer(lengths, lengths))[0] >= 1e-12
        return found, gram if flat else None


def _see(objective: Objective, chart: Chart, grid: Grid, trajectory: Trajectory | Fan | None, block: int) -> _Seen:
    """Check chart, grid and run against each other and the objective, and find frame, path and distances."""
    require_chart(chart)
    known = framed(chart)
    if known is None:
        lift(chart, grid.points[:1], objective.size)
        known = as_plane(chart, grid.points, objective.size)
    frame = None if known is None else known.frame()
    C = grid.points
    if known is not None and frame is not None:
        require_size(frame, objective.size)
        C = frame_coefficients(known, frame, grid.points)
    if trajectory is not None:
        objective.layout.require(trajectory.layout, "trajectory")
    if known is None or frame is None:
        path = None if trajectory is None else _path(chart, grid, trajectory)
        geometry = None if trajectory is None else PathGeometry(trajectory.iterates)
        return _Seen(objective, chart, block_length(objective, block), C, path, geometry=geometry)
    path, geometry, every = None, None, C
    if trajectory is not None and isinstance(known, Plane):  # its coordinates are those of the projections
        geometry = PathGeometry(trajectory.iterates, known, C)
        path = geometry.take_projections()
        every = np.concatenate([C, path])
    elif trajectory is not None:
        path = _path(chart, grid, trajectory)
        every = np.concatenate([C, frame_coefficients(known, frame, path)])
        geometry = PathGeometry(trajectory.iterates, known, every)
    affine_in = affine(lambda Z: frame_coefficients(known, frame, Z), grid.points)
    few, turn = reduced(frame, every, number_format(objective.like))
    points = FramePoints(few, every @ turn, objective.like)
    slope = None if affine_in is None else affine_in[1]
    return _Seen(objective, chart, block, C @ turn, path, known, slope, few, points.load(), geometry)


def _along(
    objective: Objective, seen: _Seen, trajectory: Trajectory | Fan, strategy: Strategy, count: Counted
) -> tuple[Array, Array]:
    """Losses of the iterates and of their lifts."""
    # the iterates are not on a plane, and their lifts are too few for combined layers
    evaluate = evaluator(objective, dataclasses.replace(strategy, planes=False)).evaluate
    losses = []
    for points in (ArrayPoints(trajectory.iterates), seen.along()):
        parts = []
        for start in range(0, len(points), seen.block):
            part = PointsSlice(points, start, start + seen.block)
            parts.append(evaluate(part, only=["loss"])["loss"])
            count(len(part))
        losses.append(np.concatenate(parts))
    return losses[0], losses[1]


def _with_evidence(land: Landscape, seen: LiftMap, reach: Array) -> Landscape:
    """Add the rank and the area of the lift, and the axes' meaning; `reach` is each cell's distance and uncertainty."""
    assert land.support is not None
    if land.grid.ndim < 2 or not land.support.any():
        return land
    metrics = lift_metrics(seen, land.grid, land.support)
    extent = np.array([np.ptp(axis) for axis in land.grid.axes])
    values = np.maximum(np.linalg.eigvalsh(metrics * np.outer(extent, extent)), 0)
    ratio = float(np.median(np.sqrt(values[:, 0] / values[:, -1])))
    if land.grid.ndim != 2:
        return dataclasses.replace(land, rank_ratio=ratio)
    area, narrow, wide = (lift_area(seen, land.grid, reach <= k * land.reach) for k in (1, 2, 4))
    return dataclasses.replace(land, rank_ratio=ratio, area=area, spread=float(np.log2(wide / narrow)))


def _chosen(objective: Objective, seen: _Seen, store: BlockStore | None) -> Strategy:
    """Choose a strategy, or use the one of an unfinished surface."""
    known = None if store is None else store.choice("strategy")
    if known is not None:
        return _as_strategy(known)
    strategy = choose_strategy(objective, seen.grid, None if seen.points is None else seen.rows, seen.flat)
    if store is not None:
        store.keep("strategy", dataclasses.asdict(strategy))
    return strategy


def _as_strategy(known: Any) -> Strategy:
    """Read a strategy from its file; a damaged one would change the values of the remaining blocks."""
    names = {field.name: type(field.default) for field in dataclasses.fields(Strategy)}
    if not isinstance(known, dict) or any(type(value) is not names.get(name) for name, value in known.items()):
        repair = "remove the folder to start the surface again"
        raise InputError(worded("out", "the strategy of an unfinished surface", "a damaged strategy.json", repair))
    return Strategy(**known)


def _path(chart: Chart, grid: Grid, trajectory: Trajectory | Fan) -> Array:
    """Coordinates of the iterates, checked against the grid."""
    path = encode(chart, trajectory.iterates)
    if path.shape[1] != grid.ndim:
        raise InputError(worded("grid", f"{path.shape[1]} axes, one per coordinate of the chart", f"{grid.ndim}"))
    return path
