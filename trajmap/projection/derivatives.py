"""First and second derivatives of a chart's lift."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from trajmap._validation import Array, check_array, check_positive
from trajmap.data.frame import Frame
from trajmap.data.plane import Plane
from trajmap.projection.chart import Chart, lift
from trajmap.projection.frames import Combination, Framed, frame_coefficients, framed

__all__ = ["Differentiable", "coefficient_jacobian", "coefficient_second", "lift_jacobian", "lift_second"]

Lifts = Callable[[Array], Array]


@runtime_checkable
class Differentiable(Protocol):
    """A chart that provides the derivatives of its lift."""

    def jacobian(self, z: Array) -> Array:
        """First derivatives, shape (d, P)."""

    def second(self, z: Array) -> Array:
        """Second derivatives, shape (d, d, P)."""


def lift_jacobian(chart: Chart, z: Array, *, fd_step: float | Array = 1e-3) -> Array:
    """Jacobian of a chart's lift, one row per coordinate: exact if the chart provides it, else by central differences.

    Parameters
    ----------
    chart : Chart
        The chart.
    z : array-like, shape (d,)
        Coordinates.
    fd_step : float or array-like of shape (d,)
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
    steps = _steps(fd_step, z)
    if isinstance(chart, Differentiable):
        return chart.jacobian(z)
    known = framed(chart)
    if known is None:
        return _slopes(lambda Z: lift(chart, Z).astype(np.float64), z, steps)
    frame = known.frame()
    return Combination(coefficient_jacobian(known, frame, z, fd_step=fd_step), frame.basis, np.float64)[:, :]


def coefficient_jacobian(known: Framed, frame: Frame, z: Array, *, fd_step: float | Array = 1e-3) -> Array:
    """Differentiate a framed chart's coefficients, shape (d, m): the Jacobian is their product with the basis."""
    z = check_array("z", z, (None,), dtype=np.float64)
    steps = _steps(fd_step, z)
    if isinstance(known, Plane):
        return np.eye(len(z))
    return _slopes(lambda Z: frame_coefficients(known, frame, Z), z, steps)


def coefficient_second(known: Framed, frame: Frame, z: Array, *, fd_step: float | Array = 1e-3) -> Array:
    """Second derivatives of a framed chart's coefficients, shape (d, d, m)."""
    z = check_array("z", z, (None,), dtype=np.float64)
    steps = _steps(fd_step, z)
    if isinstance(known, Plane):
        return np.zeros((len(z), len(z), frame.n_vectors))
    return _bends(lambda Z: frame_coefficients(known, frame, Z), z, steps)


def lift_second(chart: Chart, z: Array, *, fd_step: float | Array = 1e-3) -> Array:
    """Second derivatives of a chart's lift, computed as in `lift_jacobian`; zero for a plane.

    Parameters
    ----------
    chart : Chart
        The chart.
    z : array-like, shape (d,)
        Coordinates.
    fd_step : float or array-like of shape (d,)
        Half the distance of the differences, in chart coordinates.

    Returns
    -------
    numpy.ndarray, shape (d, d, P)
        ∂²D/∂zᵢ∂zⱼ, float64.
    """
    z = check_array("z", z, (None,), dtype=np.float64)
    steps = _steps(fd_step, z)
    if isinstance(chart, Differentiable):
        return chart.second(z)
    known = framed(chart)
    if known is None:
        return _bends(lambda Z: lift(chart, Z).astype(np.float64), z, steps)
    frame = known.frame()
    second = coefficient_second(known, frame, z, fd_step=fd_step).reshape(-1, frame.n_vectors)
    return Combination(second, frame.basis, np.float64)[:, :].reshape(len(z), len(z), -1)


def _slopes(lifts: Lifts, z: Array, steps: Array) -> Array:
    """Central differences along each coordinate."""
    lifted = lifts(np.concatenate([z + np.diag(steps), z - np.diag(steps)]))
    return (lifted[: len(z)] - lifted[len(z) :]) / (2 * steps[:, None])


def _bends(lifts: Lifts, z: Array, steps: Array) -> Array:
    """Second differences along each pair of coordinates."""
    d, along = len(z), np.diag(steps)
    rows, columns = np.triu_indices(d)
    a, b = along[rows], along[columns]
    corners = lifts(np.concatenate([z + a + b, z + a - b, z - a + b, z - a - b]))
    plus, mixed, dexim, minus = corners.reshape(4, len(rows), -1)
    scale = 4 * steps[rows] * steps[columns]
    found = np.empty((d, d, corners.shape[1]))
    found[rows, columns] = found[columns, rows] = (plus - mixed - dexim + minus) / scale[:, None]
    return found


def _steps(fd_step: float | Array, z: Array) -> Array:
    steps = np.broadcast_to(np.asarray(fd_step, dtype=np.float64), z.shape)
    for value in steps:
        check_positive("fd_step", value)
    return steps
