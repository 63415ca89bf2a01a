"""A chart's lift up to an isometry: distances, areas and slopes of lifted points from a few numbers each."""

from abc import ABC, abstractmethod

import numpy as np

from trajmap._validation import Array
from trajmap.data.frame import Frame
from trajmap.data.plane import Plane
from trajmap.projection.chart import Chart, lift
from trajmap.projection.derivatives import coefficient_jacobian, lift_jacobian
from trajmap.projection.frames import Framed, frame_coefficients, framed, is_isometric

__all__ = ["FrameMap", "LiftMap", "WholeMap", "gram_factors", "lift_map"]


class LiftMap(ABC):
    """Lifted points in coordinates that preserve every distance in parameter space."""

    @abstractmethod
    def points(self, Z: Array) -> Array:
        """Lifted points, (n, d) → (n, k), float64."""

    @abstractmethod
    def jacobian(self, z: Array, *, fd_step: float | Array = 1e-3) -> Array:
        """Differentiate with respect to each coordinate, shape (d, k); exact if the chart provides its derivatives."""


class FrameMap(LiftMap):
    """The map of a chart with a frame, k ≤ m, from the Gram matrix of its vectors.

    Parameters
    ----------
    known : Framed
        The chart.
    frame : Frame, optional
        Its frame, if available.
    slope : numpy.ndarray, shape (d, m), optional
        Derivatives of the coefficients, if they are constant.
    """

    def __init__(self, known: Framed, frame: Frame | None = None, slope: Array | None = None) -> None:
        self._known, self.frame = known, known.frame() if frame is None else frame
        self._slope = np.eye(self.frame.n_vectors) if isinstance(known, Plane) else slope
        gram = np.eye(self.frame.n_vectors) if is_isometric(known) else self.frame.gram()
        self.factor, _ = gram_factors(gram)

    def points(self, Z: Array) -> Array:
        """Rotated coefficients."""
        return self.at(frame_coefficients(self._known, self.frame, Z))

    def at(self, coefficients: Array) -> Array:
        """Points at coefficients in the frame, (n, m) → (n, k)."""
        return coefficients @ self.factor

    def jacobian(self, z: Array, *, fd_step: float | Array = 1e-3) -> Array:
        """Differentiate the coefficients, and rotate the result."""
        slope = self._slope
        if slope is None:
            slope = coefficient_jacobian(self._known, self.frame, z, fd_step=fd_step)
        return self.at(slope)


class WholeMap(LiftMap):
    """The lift itself, k = P, of a chart that only gives whole points."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart

    def points(self, Z: Array) -> Array:
        """Lifted points."""
        return lift(self._chart, Z).astype(np.float64, copy=False)

    def jacobian(self, z: Array, *, fd_step: float | Array = 1e-3) -> Array:
        """Jacobian of the lift."""
        return lift_jacobian(self._chart, z, fd_step=fd_step)


def lift_map(chart: Chart | LiftMap) -> LiftMap:
    """Return a chart's lift up to an isometry; a map is returned unchanged.

    Parameters
    ----------
    chart : Chart or LiftMap
        The chart.

    Returns
    -------
    LiftMap
        With as many numbers as its frame has vectors, or P without a frame.

    Examples
    --------
    >>> skew = Plane(np.zeros(9), np.eye(2, 9) * 3 + np.eye(2, 9, 1))
    >>> seen = lift_map(skew)
    >>> seen.points(np.eye(2)).shape, round(float(np.linalg.norm(seen.points(np.array([[1.0, 0]])))) ** 2, 9)
    ((2, 2), 10.0)
    """
    if isinstance(chart, LiftMap):
        return chart
    known = framed(chart)
    return WholeMap(chart) if known is None else FrameMap(known)


def gram_factors(gram: Array) -> tuple[Array, Array]:
    """F with G = F Fᵀ, and G⁻¹F on the span, which maps products with the basis to coordinates."""
    if np.array_equal(gram, np.eye(len(gram))):
        return gram, gram
    # vectors of unit length: their lengths may differ by more than the digits of an eigenvalue
    lengths = np.sqrt(np.diag(gram))
    lengths = np.where(lengths > 0, lengths, 1.0)
    values, vectors = np.linalg.eigh(gram / np.outer(lengths, lengths))
    keep = values > len(gram) * np.finfo(np.float64).eps * values[-1]
    roots = np.sqrt(values[keep])
    return lengths[:, None] * vectors[:, keep] * roots, vectors[:, keep] / roots / lengths[:, None]
