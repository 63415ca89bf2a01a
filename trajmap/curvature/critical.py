"""Critical points of the loss on a chart, checked in the whole space."""

import itertools

import numpy as np

from trajmap._validation import Array, check_count, check_positive
from trajmap.basins.lines import line_losses
from trajmap.curvature.normal import normal_curvatures
from trajmap.data.progress import Progress, counted
from trajmap.data.results.critical_points import CriticalPoints
from trajmap.data.results.landscape import Landscape
from trajmap.data.results.pullback import Pullback
from trajmap.objective.objective import Objective
from trajmap.projection.chart import Chart, chart_name, lift
from trajmap.projection.pullbacks import pullback
from trajmap.projection.tangents import tangent

__all__ = ["critical_points"]


def critical_points(
    objective: Objective,
    chart: Chart,
    landscape: Landscape,
    *,
    radius: float | None = None,
    noise: float | None = None,
    max_points: int = 8,
    max_iter: int = 15,
    progress: Progress | None = None,
) -> CriticalPoints:
    """Find critical points of the loss on a chart, and check them in the whole space.

    Cells that are extrema or saddles among their neighbours are refined by Newton's method on the pulled-back loss.
    From each point the loss is followed downhill along the normal gradient, and the extreme normal curvatures are
    computed, because a minimum on a chart is seldom one of the loss.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart of `landscape`.
    landscape : Landscape
        The loss over it, on a grid of one or two axes (minima only on more).
    radius : float, optional
        Length of the descent, in parameter distance; by default the landscape's reach, or a grid step without one.
    noise : float, optional
        Decrease of the loss that counts as zero; by default 1 % of the landscape's range.
    max_points : int
        Maximum number of refined candidates, the lowest first.
    max_iter : int
        Newton steps.
    progress : callable, optional
        Called with the candidates done and their number.

    Returns
    -------
    CriticalPoints
        Only points where Newton's method converged within two cells of its start.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> import torch
    >>> from trajmap.data.results.landscape import Grid
    >>> from trajmap.data.plane import Plane
    >>> from trajmap.projection.surfaces import surface
    >>> model = torch.nn.Linear(3, 1, bias=False)
    >>> flat = Objective(model, lambda m, x: (m(x)[:2] ** 2).sum() - m(x)[2, 0] ** 2, [torch.eye(3)])
    >>> plane, axis = Plane(np.zeros(3), np.eye(2, 3)), np.linspace(-1, 1.1, 8)
    >>> found = critical_points(flat, plane, surface(flat, plane, Grid((axis, axis))))
    >>> found.kinds, found.hidden_saddle.tolist(), bool(abs(found.z).max() < 1e-9)
    (['minimum'], [True], True)
    """
    finite = landscape.values[np.isfinite(landscape.values)]
    level = 0.01 * float(np.ptp(finite)) if noise is None else check_positive("noise", noise, zero=True)
    cell = np.array([np.diff(axis).max() for axis in landscape.grid.axes])
    rows: list[tuple[Pullback, Array, float]] = []
    candidates = _candidates(landscape.values)[: check_count("max_points", max_points)]
    for place in counted(candidates, progress):
        start = np.array([axis[i] for axis, i in zip(landscape.grid.axes, place, strict=True)])
        found = _newton(objective, chart, start, cell, max_iter)
        if found is not None and all(np.abs((found.z - row[0].z) / cell).max() > 0.5 for row in rows):
            rows.append((found, *_off_chart(objective, chart, found, _radius(landscape, radius, cell, found))))
    d = landscape.grid.ndim
    return CriticalPoints(
        np.array([row[0].z for row in rows]).reshape(-1, d),
        np.array([row[0].value for row in rows]),
        np.array([row[0].curvatures for row in rows]).reshape(-1, d),
        np.array([row[1] for row in rows]).reshape(-1, 2),
        np.array([row[0].normal_gradient for row in rows]),
        np.array([row[2] for row in rows]),
        level,
        chart_name(chart, landscape.name),
    )


def _radius(landscape: Landscape, radius: float | None, cell: Array, found: Pullback) -> float:
    if radius is not None:
        return check_positive("radius", radius)
    step = float(np.sqrt(np.max(np.diag(found.metric) * cell**2)))
    return landscape.reach if np.isfinite(landscape.reach) and landscape.reach > 0 else step


def _candidates(values: Array) -> list[tuple[int, ...]]:
    """Inner cells that are minima among all neighbours or, on a line or a plane, maxima or saddles; lowest first."""
    found = []
    for place in itertools.product(*(range(1, n - 1) for n in values.shape)):
        around = values[tuple(slice(i - 1, i + 2) for i in place)]
        if not np.isfinite(around).all():
            continue
        higher = around > values[place]
        if higher.sum() == higher.size - 1 or (values.ndim == 1 and not higher.any()):
            found.append(place)
        elif values.ndim == 2:
            ring = higher[[0, 0, 0, 1, 2, 2, 2, 1], [0, 1, 2, 2, 2, 1, 0, 0]]
            changes = int(np.sum(ring != np.roll(ring, 1)))
            if changes == 4 or not ring.any():
                found.append(place)
    return sorted(found, key=lambda place: float(values[place]))


def _newton(objective: Objective, chart: Chart, start: Array, cell: Array, max_iter: int) -> Pullback | None:
    z = start
    for _ in range(max_iter):
        found = pullback(objective, chart, z, fd_step=0.05 * cell)
        # pinv: along a flat direction of the chart there is no equation
        move = -np.linalg.pinv(found.hessian, rcond=1e-8, hermitian=True) @ found.gradient
        if not np.isfinite(move).all() or np.abs((z + move - start) / cell).max() > 2:
            return None
        z = z + move
        if np.abs(move / cell).max() < 1e-6:
            return pullback(objective, chart, z, fd_step=0.05 * cell)
    return None


def _off_chart(objective: Objective, chart: Chart, found: Pullback, radius: float) -> tuple[Array, float]:
    """Extreme normal curvatures, and the decrease of the loss along the normal part of −∇L."""
    theta = lift(chart, found.z[None], objective.size)[0].astype(np.float64)
    scale = 1e-3 * np.maximum(np.abs(found.z), 1.0)
    basis = tangent(chart, found.z, fd_step=scale)
    values, _ = normal_curvatures(objective.hessian(theta), basis)
    gradient = objective.gradient(theta)
    normal = gradient - (gradient @ basis.T) @ basis
    norm = float(np.linalg.norm(normal))
    if norm <= 1e-12 * max(1.0, abs(found.value)):
        return values, 0.0
    fallen = found.value - line_losses(objective, theta, -normal / norm, radius * np.geomspace(1e-3, 1, 13))
    return values, float(max(0.0, np.nanmax(fallen, initial=0.0)))
