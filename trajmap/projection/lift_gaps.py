"""The loss of the iterates compared with the loss of their lifts."""

from typing import Any

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.progress import Progress, counted
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective
from trajmap.objective.operator import as_array
from trajmap.objective.points import ArrayPoints
from trajmap.objective.tuning import evaluator
from trajmap.projection.chart import Chart, chart_name, encode
from trajmap.projection.frames import frame_coefficients, framed, require_size
from trajmap.projection.lifts import PointsSlice, block_length, chart_residuals, lifted_points
from trajmap.projection.moved import MovedPoints
from trajmap.projection.support import PathGeometry

__all__ = ["lift_gap"]


def lift_gap(
    objective: Objective,
    chart: Chart,
    trajectory: Trajectory,
    *,
    every: int = 1,
    decompose: bool = False,
    name: str = "",
    random_state: int = 0,
    progress: Progress | None = None,
) -> LiftGap:
    """Measure the lift gap Δ_t = L(D(Eθ_t)) − L(θ_t) along a run, with its control.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart: E its ``transform``, D its ``inverse_transform``.
    trajectory : Trajectory
        The run; use held-out iterates, or a sister run, for an unbiased gap.
    every : int
        Use every k-th iterate.
    decompose : bool
        Also compute −gᵀr and ½ rᵀHr, with one gradient and one Hessian product per iterate.
    name : str
        Name of the chart, for titles.
    random_state : int
        Seed of the control's directions.
    progress : callable, optional
        Called with the iterates done and their number.

    Returns
    -------
    LiftGap
        The gap, 0 best, and as a control the loss of each iterate moved by the lift's distance in a random direction.
        If the lift's loss exceeds the control, the lift leaves the valley in a relevant direction.

    Raises
    ------
    LayoutError
        If the trajectory's parameters are not the objective's.

    Examples
    --------
    >>> import torch
    >>> from trajmap.data.plane import Plane
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> bowl = Objective(model, lambda m, x: m(x).square().sum() / 2, [torch.eye(2)])
    >>> run = Trajectory.of(np.array([[2.0, 2], [1, 1]]), layout=bowl.layout)
    >>> lift_gap(bowl, Plane(np.zeros(2), np.array([[1.0, 0]])), run).gap.tolist()
    [-2.0, -0.5]
    """
    objective = objective.along(trajectory)
    thin = trajectory.thin(check_count("every", every))
    Z = encode(chart, thin.iterates)
    residuals = _residuals(objective, chart, Z, thin.iterates)
    own, lifts = ArrayPoints(thin.iterates), lifted_points(objective, chart, Z)
    controls = MovedPoints(own, residuals, objective.size, np.random.default_rng(random_state))
    evaluate, theta, lifted = evaluator(objective).evaluate, *objective.like.new_empty((2, objective.size))
    rows = []
    for i in counted(range(len(Z)), progress):
        three = [evaluate(PointsSlice(points, i, i + 1), only=["loss"])["loss"][0] for points in (own, lifts, controls)]
        if decompose:
            own.write(i, theta)
            lifts.write(i, lifted)
            three += _orders(objective, as_array(theta), as_array(theta - lifted))
        rows.append(three)
    values, lifted_values, control_values, *decomposed = np.array(rows).T
    title = chart_name(chart, name)
    return LiftGap(thin.steps.astype(float), values, lifted_values, residuals, control_values, title, *decomposed)


def _residuals(objective: Objective, chart: Chart, Z: Array, iterates: Any) -> Array:
    """Distances of the iterates from their lifts."""
    known = framed(chart)
    if known is None:
        return chart_residuals(chart, Z, iterates, block_length(objective, 64))
    frame = known.frame()
    require_size(frame, objective.size)
    return PathGeometry(iterates, known, frame_coefficients(known, frame, Z), reach=False).residuals()


def _orders(objective: Objective, theta: Array, residual: Array) -> tuple[float, float]:
    """Gap to first and to second order: the terms −gᵀr and ½ rᵀHr."""
    Hv = objective.hvp(theta, residual)
    return -float(objective.gradient(theta) @ residual), 0.5 * float(residual @ Hv)
