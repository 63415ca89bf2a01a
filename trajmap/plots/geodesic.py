"""The shortest path between two points of a chart."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.geodesic import Geodesic
from trajmap.plots.labels import headline, legend_below
from trajmap.plots.scales import drawable
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_geodesic"]


def plot_geodesic(geodesic: Geodesic, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the shortest path over the chart's first two coordinates, and the straight line, each with its length.

    Parameters
    ----------
    geodesic : Geodesic
        Points and lengths.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    points = drawable(geodesic.points)
    x, y = (points[:, 0], np.zeros(len(points))) if points.shape[1] == 1 else points[:, :2].T
    ax.plot(
        x[[0, -1]], y[[0, -1]], "--", color=COLORS["null"], label=f"straight in coordinates: {geodesic.straight:.3g}"
    )
    ax.plot(x, y, "o-", ms=3, color=COLORS["run"], label=f"shortest: {geodesic.length:.3g}")
    ax.plot(x[0], y[0], "o", x[-1], y[-1], "*", color=COLORS["lift"], ms=9)
    ends = "" if np.isnan(geodesic.path) else f", along the run {geodesic.path:.3g}"
    label = f"coordinate 1 (lengths in parameter space: chord {geodesic.chord:.3g}{ends})"
    ax.set_xlabel(label, fontsize="small")
    ax.set_ylabel("coordinate 2")
    headline(ax, "Shortest way over the chart" + ("" if geodesic.converged else " (not converged)"))
    legend_below(ax, columns=1)
    return ax
