"""Geodesics of the metric that a chart pulls back from parameter space."""

import numpy as np

from trajmap._validation import Array, check_array, check_count
from trajmap.data.results.geodesic import Geodesic
from trajmap.projection.chart import Chart
from trajmap.projection.lift_maps import LiftMap, lift_map

__all__ = ["geodesic"]


def geodesic(
    chart: Chart,
    a: Array,
    b: Array,
    *,
    n_points: int = 33,
    path: Array | None = None,
    step: float = 1e-3,
    max_iter: int = 300,
) -> Geodesic:
    """Find the shortest path from a to b along a chart's image.

    The energy Σ‖θ_{k+1} − θ_k‖² of a chain of lifted points is minimised over their coordinates, from the straight line
    in coordinates; the minimum is a locally shortest path with even spacing. Lengths are those of the chain, which is
    shorter than the curve by O(1/n²). If the chart has a frame, such as a ``Pipeline(RowSpace(), embedding)``,
    everything is computed from its coefficients.

    Parameters
    ----------
    chart : Chart
        The chart.
    a, b : array-like, shape (d,)
        Coordinates of the ends.
    n_points : int
        Number of points, including the ends.
    path : array-like, shape (m, d), optional
        Coordinates of a run between the two, for comparison.
    step : float
        Half the distance of the differences of the lift, relative to ‖b − a‖.
    max_iter : int
        Limit of the minimisation.

    Returns
    -------
    Geodesic
        The path and its lengths.

    Raises
    ------
    InputError
        If shapes differ.

    References
    ----------
    H. Shao, A. Kumar, P. T. Fletcher, The Riemannian geometry of deep generative models, 2018 (discrete energy).

    Examples
    --------
    >>> from trajmap.data.plane import Plane
    >>> geodesic(Plane(np.zeros(2), np.diag([3.0, 4.0])), [0, 0], [1, 1], n_points=5).length
    5.0
    """
    from scipy.optimize import minimize

    a = check_array("a", a, (None,), dtype=np.float64)
    b = check_array("b", b, a.shape, dtype=np.float64)
    n_points = check_count("n_points", n_points, low=3)
    seen = lift_map(chart)
    line = a + np.linspace(0, 1, n_points)[:, None] * (b - a)
    ends = seen.points(line[[0, -1]])
    scale = float(np.sum((ends[1] - ends[0]) ** 2)) or 1.0
    half = step * (float(np.linalg.norm(b - a)) or 1.0)

    def energy(inner: Array) -> tuple[float, Array]:
        Z = inner.reshape(n_points - 2, -1)
        theta = np.concatenate([ends[:1], seen.points(Z), ends[1:]])
        legs = np.diff(theta, axis=0)
        pull = 2 * (legs[:-1] - legs[1:])
        slope = np.stack([seen.jacobian(z, fd_step=half) @ row for z, row in zip(Z, pull, strict=True)])
        return (n_points - 1) * float(np.sum(legs**2)) / scale, (n_points - 1) * slope.ravel() / scale

    found = minimize(
        energy, line[1:-1].ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": max_iter, "maxfun": 10 * max_iter, "ftol": 1e-13, "gtol": 1e-9},
    )  # fmt: skip
    points = np.concatenate([a[None], found.x.reshape(n_points - 2, -1), b[None]])
    return Geodesic(
        points,
        _length(seen, points),
        _length(seen, line),
        float(np.linalg.norm(ends[1] - ends[0])),
        float("nan") if path is None else _length(seen, check_array("path", path, (None, len(a)), dtype=np.float64)),
        converged=found.nit < max_iter,
    )


def _length(seen: LiftMap, Z: Array) -> float:
    return float(np.linalg.norm(np.diff(seen.points(Z), axis=0), axis=1).sum())
