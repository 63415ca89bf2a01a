"""Recognise a flat chart of any type."""

from collections.abc import Callable

import numpy as np

from trajmap._validation import Array
from trajmap.data.places import even_places
from trajmap.data.plane import Plane
from trajmap.errors import InputError
from trajmap.projection.chart import Chart, lift
from trajmap.projection.frames import Combination, frame_coefficients, framed, require_size

__all__ = ["affine", "as_plane"]


def as_plane(chart: Chart, points: Array, size: int) -> Plane | None:
    """Return the plane of a chart's lift, or None for a curved chart.

    The lift is evaluated at the origin, along each axis, and at eight of the points: a plane predicts all of them up to
    rounding. A pipeline that ends in PCA is recognised as a plane, and its lifts are then one small product.

    Parameters
    ----------
    chart : Chart
        The chart.
    points : numpy.ndarray, shape (n, d)
        Coordinates at which it is used.
    size : int
        P.

    Returns
    -------
    Plane or None
        The plane, with the chart's own coordinates.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> X = np.random.default_rng(0).normal(size=(20, 5))
    >>> as_plane(PCA(2).fit(X), np.eye(2), 5).directions.shape
    (2, 5)
    """
    if isinstance(chart, Plane):
        return chart
    known = framed(chart)
    if known is None:
        found = affine(lambda Z: lift(chart, Z, size), points)
    else:
        frame = known.frame()
        require_size(frame, size)
        found = affine(lambda Z: frame_coefficients(known, frame, Z), points)
    if found is None or not points.shape[1]:
        return None
    origin, slope = found
    if known is not None:
        origin = frame.points(origin[None])[0]
        slope = Combination(slope, frame.basis, np.float64)[:, :]
    try:
        return Plane(origin, slope, str(getattr(chart, "name", "plane")))
    except InputError:  # dependent directions: a lift of lower rank, handled as a general chart
        return None


def affine(lifts: Callable[[Array], Array], points: Array) -> tuple[Array, Array] | None:
    """Determine whether a map is affine on some points.

    It is evaluated at the middle, along each axis, and at eight of the points: an affine map predicts all of them up to
    rounding.

    Parameters
    ----------
    lifts : callable
        The map, (n, d) → (n, k).
    points : numpy.ndarray, shape (n, d)
        Points at which it is used.

    Returns
    -------
    tuple of numpy.ndarray, or None
        Value at 0, shape (k,), and slope, (d, k).
    """
    scale = np.ptp(points, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    center = points.mean(axis=0)
    ends = lifts(np.concatenate([center[None], center + np.diag(scale)])).astype(np.float64, copy=False)
    if not np.isfinite(ends).all():
        return None
    slope = (ends[1:] - ends[0]) / scale[:, None]
    probes = points[even_places(len(points), 8)]
    found = lifts(probes)
    expected = ends[0] + (probes - center) @ slope
    # a float32 lift has six digits; a curved chart deviates by far more over its grid
    tolerance = 1e-9 if found.dtype == np.float64 else 1e-5
    if not np.abs(found - expected).max() <= tolerance * max(float(np.abs(slope * scale[:, None]).max()), 1e-300):
        return None
    return ends[0] - center @ slope, slope
