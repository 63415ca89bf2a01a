"""What a chart's picture may claim: the rank and area of its lift, and what its axes measure."""

import numpy as np

from trajmap._validation import Array
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.projection.chart import Chart
from trajmap.projection.lift_maps import LiftMap, lift_map

__all__ = ["axis_labels", "axis_scale", "lift_area", "lift_metrics", "walk_shares"]


def lift_metrics(chart: Chart | LiftMap, grid: Grid, support: Array, *, most: int = 64, random_state: int = 0) -> Array:
    """Metric of a chart's lift at supported grid points.

    Parameters
    ----------
    chart : Chart or LiftMap
        The chart, or its lift seen up to an isometry.
    grid : Grid
        Its grid; derivatives are differences over half a cell, the scale of the picture.
    support : numpy.ndarray of bool, shape grid.shape
        Where to look.
    most : int
        Points at most, drawn at random where there are more.
    random_state : int
        Seed of the draw.

    Returns
    -------
    numpy.ndarray, shape (m, d, d)
        G = JJᵀ in chart coordinates, in the order of the places.
    """
    places = np.flatnonzero(support.ravel())
    if len(places) > most:
        places = np.sort(np.random.default_rng(random_state).choice(places, most, replace=False))
    half = np.array([np.diff(axis).mean() / 2 for axis in grid.axes])
    seen = lift_map(chart)
    found = [seen.jacobian(grid.points[i], fd_step=half) for i in places]
    return np.array([J @ J.T for J in found]).reshape(-1, grid.ndim, grid.ndim)


def lift_area(chart: Chart | LiftMap, grid: Grid, region: Array) -> float:
    """Parameter area of the cells of a region of a two-axis grid: the mean √det G of a sample, times their number."""
    if not region.any():
        return 0.0
    cell = float(np.prod([np.ptp(axis) / (len(axis) - 1) for axis in grid.axes]))
    roots = np.sqrt(np.maximum(np.linalg.det(lift_metrics(chart, grid, region)), 0))
    return float(roots.mean() * cell * region.sum())


def walk_shares(T: int, d: int) -> Array:
    """Shares of variance that the first d principal components of a random walk of T points hold, exactly, (d,).

    Parameters
    ----------
    T, d : int
        Points, and components asked for.

    Returns
    -------
    numpy.ndarray, shape (d,)
        Shares, descending.

    References
    ----------
    J. Antognini, J. Sohl-Dickstein, PCA of high dimensional random walks with comparison to neural network
    training, 2018.

    Examples
    --------
    >>> walk_shares(1000, 2).round(3).tolist()
    [0.608, 0.152]
    """
    k = np.arange(1, T)
    eigenvalues = 1 / (2 - 2 * np.cos(k * np.pi / T))
    return eigenvalues[:d] / eigenvalues.sum()


def axis_scale(chart: Chart | LiftMap, gram: Array | None, grid: Grid, region: Array | None) -> Array:
    """Parameter distance of a unit along each axis.

    Parameters
    ----------
    chart : Chart or LiftMap
        The chart, or its lift seen up to an isometry.
    gram : numpy.ndarray, shape (d, d), or None
        Inner products of the directions if the chart is flat.
    grid : Grid
        Its grid.
    region : numpy.ndarray of bool, shape grid.shape, or None
        Where a curved chart is looked at; everywhere by default.

    Returns
    -------
    numpy.ndarray, shape (d,)
        Lengths of the directions of a flat chart; of a curved one √Gᵢᵢ, the median over the region, NaN where it is
        empty.

    Examples
    --------
    >>> from trajmap.data.plane import Plane
    >>> grid = Grid((np.array([-1.0, 1]),) * 2)
    >>> axis_scale(Plane(np.zeros(3), np.array([[3.0, 0, 4], [0, 2, 0]])), None, grid, None).round(6).tolist()
    [5.0, 2.0]
    """
    if gram is not None:
        return np.sqrt(np.diag(gram))
    metrics = lift_metrics(chart, grid, np.ones(grid.shape, dtype=bool) if region is None else region)
    if not len(metrics):
        return np.full(grid.ndim, np.nan)
    scale: Array = np.sqrt(np.median(np.diagonal(metrics, axis1=1, axis2=2), axis=0))
    return scale


def axis_labels(gram: Array | None, size: int, land: Landscape, variance: float) -> list[str]:
    """Say what each axis measures.

    Parameters
    ----------
    gram : numpy.ndarray, shape (d, d), or None
        Inner products of the directions if the chart is flat.
    size : int
        P.
    land : Landscape
        With path and scale.
    variance : float
        Mean squared distance of the iterates from their mean.

    Returns
    -------
    list of str
        One an axis: on a plane the variance along it with what chance would give (a random walk along principal
        axes, a random direction along others), on a curved chart the unit in parameter distance.
    """
    assert land.path is not None
    path = land.path
    d = path.shape[1]
    if gram is None:
        lengths = np.full(d, np.nan) if land.scale is None else land.scale
        return [f"coordinate {i + 1} (1 unit ≈ {unit:.2g} in parameter distance)" for i, unit in enumerate(lengths)]
    norms = np.sqrt(np.diag(gram))
    # the variance along direction i alone, of which non-orthogonal ones share
    along = (path - path.mean(axis=0)) @ gram / norms
    shares = np.mean(along**2, axis=0) / variance if variance > 0 else np.full(d, np.nan)
    scale = np.sqrt(np.mean(along**2, axis=0))
    overlaps = np.abs(along.T @ along / len(path)) / np.maximum(np.outer(scale, scale), 1e-300)
    principal = bool(np.all(overlaps - np.eye(d) < 1e-3) and np.all(np.diff(shares) <= 0) and d <= len(path) - 1)
    words, chance, null = ("PC", walk_shares(len(path), d), "walk") if principal else (
        "direction", np.full(d, 1 / size), "random direction")  # fmt: skip
    units = ["" if abs(norm - 1) < 1e-6 else f", 1 unit = {norm:.2g}" for norm in norms]
    return [
        f"{words} {i + 1}: {share:.2%} of the variance ({null}: {expected:.2%}{unit})"
        if expected < 0.001
        else f"{words} {i + 1}: {share:.1%} of the variance ({null}: {expected:.1%}{unit})"
        for i, (share, expected, unit) in enumerate(zip(shares, chance, units, strict=True))
    ]
