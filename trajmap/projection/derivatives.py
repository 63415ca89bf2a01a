"""First and second derivatives of a chart's lift."""

from typing import Protocol, runtime_checkable

import numpy as np

from trajmap._validation import Array, check_array, check_positive
from trajmap.data.plane import Plane
from trajmap.projection.chart import Chart, lift

__all__ = ["Differentiable", "lift_jacobian", "lift_second"]


@runtime_checkable
class Differentiable(Protocol):
    """A chart that knows the derivatives of its own lift."""

    def jacobian(self, z: Array) -> Array:
        """First derivatives, shape (d, P)."""

    def second(self, z: Array) -> Array:
        """Second derivatives, shape (d, d, P)."""


def lift_jacobian(chart: Chart, z: Array, *, step: float | Array = 1e-3) -> Array:
    """Jacobian of a chart's lift, one row a coordinate: exact where the chart knows it, else by central differences.

    Parameters
    ----------
    chart : Chart
        The chart.
    z : array-like, shape (d,)
        Coordinates.
    step : float or array-like of shape (d,)
        Half the distance of the differences, in chart coordinates.

    Returns
    -------
    numpy.ndarray, shape (d, P)
        ∂D/∂zᵢ, float64.

    Raises
    ------
    InputError
        If a step is not positive.

    Examples
    --------
    >>> lift_jacobian(Plane(np.zeros(3), np.array([[0.0, 5, 0]])), [1.0]).tolist()
    [[0.0, 5.0, 0.0]]
    """
    z = check_array("z", z, (None,), dtype=np.float64)
    steps = _steps(step, z)
    if isinstance(chart, Plane):
        return chart.directions.astype(np.float64)
    if isinstance(chart, Differentiable):
        return chart.jacobian(z)
    lifted = lift(chart, np.concatenate([z + np.diag(steps), z - np.diag(steps)])).astype(np.float64)
    rows: Array = (lifted[: len(z)] - lifted[len(z) :]) / (2 * steps[:, None])
    return rows


def lift_second(chart: Chart, z: Array, *, step: float | Array = 1e-3) -> Array:
    """Second derivatives of a chart's lift, as `lift_jacobian`; zero for a plane.

    Parameters
    ----------
    chart : Chart
        The chart.
    z : array-like, shape (d,)
        Coordinates.
    step : float or array-like of shape (d,)
        Half the distance of the differences, in chart coordinates.

    Returns
    -------
    numpy.ndarray, shape (d, d, P)
        ∂²D/∂zᵢ∂zⱼ, float64.
    """
    z = check_array("z", z, (None,), dtype=np.float64)
    d, steps = len(z), np.diag(_steps(step, z))
    if isinstance(chart, Plane):
        return np.zeros((d, d, len(chart.origin)))
    if isinstance(chart, Differentiable):
        return chart.second(z)
    rows, columns = np.triu_indices(d)
    a, b = steps[rows], steps[columns]
    corners = lift(chart, np.concatenate([z + a + b, z + a - b, z - a + b, z - a - b])).astype(np.float64)
    plus, mixed, dexim, minus = corners.reshape(4, len(rows), -1)
    scale = 4 * np.diag(steps)[rows] * np.diag(steps)[columns]
    found = np.empty((d, d, corners.shape[1]))
    found[rows, columns] = found[columns, rows] = (plus - mixed - dexim + minus) / scale[:, None]
    return found


def _steps(step: float | Array, z: Array) -> Array:
    steps = np.broadcast_to(np.asarray(step, dtype=np.float64), z.shape)
    for value in steps:
        check_positive("step", value)
    return steps
