"""The loss over a chart as a relief, still or turning under the mouse."""

from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._optional import optional_import
from trajmap._validation import Array, worded
from trajmap.data.results.landscape import Landscape
from trajmap.errors import InputError

if TYPE_CHECKING:
    from mpl_toolkits.mplot3d import Axes3D

__all__ = ["interactive_surface_3d", "plot_surface_3d"]


def plot_surface_3d(landscape: Landscape, *, ax: "Axes3D | None" = None) -> "Axes3D":
    """Draw the loss as a surface in three dimensions; unsupported cells are pale, cells of NaN or inf are holes.

    Parameters
    ----------
    landscape : Landscape
        Over a grid of two axes.
    ax : mpl_toolkits.mplot3d.axes3d.Axes3D, optional
        Where to draw.

    Returns
    -------
    mpl_toolkits.mplot3d.axes3d.Axes3D
        The axes.

    Raises
    ------
    InputError
        If the grid has another number of axes.
    """
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    heights, label = _heights(landscape)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(6.8, 5.2)).add_subplot(projection="3d")
    x, y = np.meshgrid(*landscape.grid.axes, indexing="ij")
    known = heights[np.isfinite(heights)]
    colours = colormaps["viridis"](Normalize(known.min(), known.max())(heights))
    if landscape.support is not None:
        colours[~landscape.support] = 0.35 * colours[~landscape.support] + 0.65
        colours[..., 3] = 1.0
    ax.plot_surface(
        x, y, heights, facecolors=colours, rcount=80, ccount=80, linewidth=0, antialiased=False, shade=False
    )
    if landscape.path is not None and landscape.lifted_values is not None:
        z = np.log10(landscape.lifted_values) if label.startswith("log") else landscape.lifted_values
        for rows in landscape.paths.values():
            ax.plot(*landscape.path[rows].T, z[rows], color="#D55E00", lw=2, zorder=10)
    first, second = landscape.axis_labels
    ax.set(xlabel=first, ylabel=second, zlabel=label)
    ax.set_title(f"Loss over {landscape.name or 'the chart'}")
    return ax


def interactive_surface_3d(landscape: Landscape) -> Any:
    """Make a Plotly figure of the loss as a relief: turn it, read values, with the path and the unsupported cells.

    Parameters
    ----------
    landscape : Landscape
        Over a grid of two axes.

    Returns
    -------
    plotly.graph_objects.Figure
        ``figure.write_html(path)`` keeps it.

    Raises
    ------
    InputError
        If the grid has another number of axes.
    MissingExtraError
        Without Plotly, in words that name the extra.
    """
    go = optional_import("plotly.graph_objects", "interactive")
    heights, label = _heights(landscape)
    x, y = landscape.grid.axes
    inside = heights if landscape.support is None else np.where(landscape.support, heights, np.nan)
    surfaces = [go.Surface(x=x, y=y, z=inside.T, colorscale="Viridis", name="supported", colorbar={"title": label})]
    if landscape.support is not None:
        surfaces.insert(
            0, go.Surface(x=x, y=y, z=heights.T, colorscale="Greys", opacity=0.35, showscale=False, name="unsupported")
        )
    figure = go.Figure(surfaces)
    if landscape.path is not None and landscape.lifted_values is not None:
        z = np.log10(landscape.lifted_values) if label.startswith("log") else landscape.lifted_values
        line = {"color": "#D55E00", "width": 6}
        for name, rows in landscape.paths.items():
            x, y = landscape.path[rows].T
            figure.add_trace(go.Scatter3d(x=x, y=y, z=z[rows], mode="lines", line=line, name=name or "path"))
    first, second = (label.split(" (")[0] for label in landscape.axis_labels)  # a turning axis has little room
    axes = {"xaxis_title": first, "yaxis_title": second, "zaxis_title": label}
    figure.update_layout(scene=axes, title=f"Loss over {landscape.name or 'the chart'}", height=620)
    return figure


def _heights(landscape: Landscape) -> tuple[Array, str]:
    """Losses, or their logarithms where they are positive and span more than a factor of ten."""
    if landscape.grid.ndim != 2:
        raise InputError(worded("landscape", "a grid of 2 axes", f"{landscape.grid.ndim}"))
    known = landscape.values[np.isfinite(landscape.values)]
    if not len(known):
        raise InputError(worded("landscape", "at least one finite value", "none"))
    values = np.where(np.isfinite(landscape.values), landscape.values, np.nan)
    if known.min() > 0 and known.max() > 10 * known.min():
        return np.log10(values), "log₁₀ loss"
    return values, "loss"
