"""The loss of the iterates beside the loss of their lifts."""

from collections.abc import Callable

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.lift_gap import LiftGap
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective
from trajmap.projection.chart import Chart, chart_name, encode, lift

__all__ = ["curve"]


def curve(
    objective: Objective,
    chart: Chart,
    trajectory: Trajectory,
    *,
    every: int = 1,
    decompose: bool = False,
    name: str = "",
    random_state: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> LiftGap:
    """Measure the lift gap Δ_t = L(D(Eθ_t)) − L(θ_t) along a run, with its control.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart: E its ``transform``, D its ``inverse_transform``.
    trajectory : Trajectory
        The run; give held-out iterates, or a sister run, for an honest gap.
    every : int
        Use every k-th iterate.
    decompose : bool
        Also compute −gᵀr and ½ rᵀHr, by a gradient and a Hessian product an iterate.
    name : str
        Name of the chart, for titles.
    random_state : int
        Seed of the control's directions.
    progress : callable, optional
        Called with the iterates done and their number.

    Returns
    -------
    LiftGap
        Also the loss of each iterate moved by the lift's own distance in a random direction: when the lift's
        loss exceeds that, the lift leaves the valley in a direction that matters.

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
    >>> curve(bowl, Plane(np.zeros(2), np.array([[1.0, 0]])), run).gap.tolist()
    [-2.0, -0.5]
    """
    objective.layout.require(trajectory.layout, "trajectory")
    thin = trajectory.thin(check_count("every", every))
    Z = encode(chart, thin.iterates)
    rng = np.random.default_rng(random_state)
    rows = []
    for i, z in enumerate(Z):
        theta = np.asarray(thin.iterates[i], dtype=np.float64)
        lifted = lift(chart, z[None], objective.size)[0]
        residual = np.linalg.norm(theta - lifted)
        noise = rng.standard_normal(len(theta))
        control = theta + residual * noise / np.linalg.norm(noise)
        orders = _orders(objective, theta, theta - lifted) if decompose else ()
        rows.append([*objective.values(np.stack([theta, lifted, control])), residual, *orders])
        if progress is not None:
            progress(i + 1, len(Z))
    values, lifted_values, control_values, residuals, *decomposed = np.array(rows).T
    title = chart_name(chart, name)
    return LiftGap(thin.steps.astype(float), values, lifted_values, residuals, control_values, title, *decomposed)


def _orders(objective: Objective, theta: Array, residual: Array) -> tuple[float, float]:
    """Gap to first and to second order: the terms −gᵀr and ½ rᵀHr."""
    bent = objective.hvp(theta, residual)
    return -float(objective.gradient(theta) @ residual), 0.5 * float(residual @ bent)
