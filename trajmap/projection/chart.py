"""The protocol of a chart, as used by surfaces, tangents and comparisons."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from trajmap._validation import Array, check_array, worded
from trajmap.errors import InputError

__all__ = ["Chart", "chart_name", "chart_steps", "deviation", "encode", "lift", "require_chart"]


@runtime_checkable
class Chart(Protocol):
    """An object with ``transform`` and ``inverse_transform`` between R^P and R^d.

    For example a fitted ``Pipeline(RowSpace(), embedding)``, or a `Plane`.
    """

    def transform(self, X: Any, /) -> Array:
        """Coordinates of points, (n, P) → (n, d)."""

    def inverse_transform(self, X: Any, /) -> Array:
        """Points at some coordinates, (n, d) → (n, P)."""


@runtime_checkable
class Uncertain(Protocol):
    """A chart, or its last step, that estimates the uncertainty of its lifts."""

    def uncertainty(self, Z: Any, /) -> Array:
        """Uncertainty in the units of parameter space, (n, d) → (n,)."""


def chart_steps(chart: Any) -> list[Any]:
    """List the steps of a scikit-learn pipeline, without passthrough steps; empty for other objects."""
    steps = getattr(chart, "steps", None) or []
    return [step for _, step in steps if step is not None and not isinstance(step, str)]


def deviation(chart: Chart, Z: Array) -> Array:
    """Return the uncertainty of lifts, shape (n,); zeros for a chart without an estimate."""
    last = (chart_steps(chart) or [chart])[-1]
    return np.asarray(last.uncertainty(Z)) if isinstance(last, Uncertain) else np.zeros(len(Z))


def lift(chart: Chart, Z: Array, size: int | None = None) -> Array:
    """Lift coordinates, and check that the result is in the objective's space.

    Parameters
    ----------
    chart : Chart
        The chart.
    Z : numpy.ndarray, shape (n, d)
        Coordinates.
    size : int, optional
        P, if known.

    Returns
    -------
    numpy.ndarray, shape (n, P)
        Points.

    Raises
    ------
    InputError
        If the object is not a chart, does not accept these coordinates, or lifts to another space.
    """
    require_chart(chart)
    thetas = np.asarray(chart.inverse_transform(Z))
    return check_array("chart.inverse_transform(Z)", thetas, (len(Z), size))


def require_chart(chart: object) -> None:
    """Check that an object is a chart."""
    if not isinstance(chart, Chart):
        raise InputError(worded("chart", "an object with transform and inverse_transform", chart))


def encode(chart: Chart, thetas: Any) -> Array:
    """Coordinates of points or lazy iterates, shape (n, d), float64."""
    return check_array("chart.transform(X)", chart.transform(thetas), (len(thetas), None), dtype=np.float64)


def chart_name(chart: Chart, given: str = "") -> str:
    """Name a chart for titles: the given name, its own name, or the class of a pipeline's last step."""
    last = (chart_steps(chart) or [chart])[-1]
    return given or str(getattr(last, "name", "") or type(last).__name__)
