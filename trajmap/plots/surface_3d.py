"""The loss over a chart as a relief, static or interactive."""

from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._optional import optional_import
from trajmap._validation import Array, worded
from trajmap.data.results.landscape import Landscape
from trajmap.errors import InputError
from trajmap.plots.labels import axis_words, chart_words
from trajmap.plots.paths import RUNS
from trajmap.plots.scales import LONGEST, drawable, is_log

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

    heights, logarithmic = _heights(landscape)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(layout="constrained").add_subplot(projection="3d")
    x, y = np.meshgrid(*landscape.grid.axes, indexing="ij")
    known = heights[np.isfinite(heights)]
    colours = colormaps["viridis"](Normalize(known.min(), known.max())(heights))
    if landscape.support is not None:
        colours[~landscape.support] = 0.35 * colours[~landscape.support] + 0.65
        colours[..., 3] = 1.0
    ax.plot_surface(
        x, y, heights, facecolors=colours, rcount=80, ccount=80, linewidth=0, antialiased=False, shade=False
    )
    for i, (name, points) in enumerate(_lifted(landscape, logarithmic=logarithmic).items()):
        ax.plot(*points.T, color=RUNS[i % len(RUNS)], lw=2, zorder=10)
        end = points[-1]
        ax.text(*end, f" {f'end of {name}' if name else 'end'}", fontsize="small", zorder=11)
    _shape(landscape, ax)
    ax.set_zlabel(_word(logarithmic=logarithmic), fontsize="small")
    ax.tick_params(labelsize="x-small", pad=0)
    ax.locator_params(nbins=5)
    ax.set_title(f"Loss over {chart_words(landscape.name)}")
    return ax


def interactive_surface_3d(landscape: Landscape) -> Any:
    """Make a Plotly figure of the loss as a relief: rotate it, read values, with the path and the unsupported cells.

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
    heights, logarithmic = _heights(landscape)
    x, y = landscape.grid.axes
    inside = heights if landscape.support is None else np.where(landscape.support, heights, np.nan)
    label = _word(logarithmic=logarithmic)
    surfaces = [go.Surface(x=x, y=y, z=inside.T, colorscale="Viridis", name="supported", colorbar={"title": label})]
    if landscape.support is not None:
        surfaces.insert(
            0, go.Surface(x=x, y=y, z=heights.T, colorscale="Greys", reversescale=True, opacity=0.35, showscale=False,
                          name="unsupported"),
        )  # fmt: skip
    figure = go.Figure(surfaces)
    for i, (name, points) in enumerate(_lifted(landscape, logarithmic=logarithmic).items()):
        line = {"color": RUNS[i % len(RUNS)], "width": 6}
        first, second, z = points.T
        figure.add_trace(go.Scatter3d(x=first, y=second, z=z, mode="lines", line=line, name=name or "path"))
    box, times = _box(landscape)
    # a turning axis has little room
    words = [axis_words(label.split(" (")[0], by) for label, by in zip(landscape.axis_labels, times, strict=True)]
    scene: dict[str, Any] = {"xaxis_title": words[0], "yaxis_title": words[1], "zaxis_title": label}
    if box is not None:
        scene |= {"aspectmode": "manual", "aspectratio": dict(zip("xyz", (*box, 0.6), strict=True))}
    legend = {"orientation": "h", "y": 0}
    figure.update_layout(scene=scene, title=f"Loss over {chart_words(landscape.name)}", height=620, legend=legend)
    return figure


def _heights(landscape: Landscape) -> tuple[Array, bool]:
    """Losses, or their logarithms where they are positive and span more than a decade."""
    if landscape.grid.ndim != 2:
        raise InputError(worded("landscape", "a grid of 2 axes", f"{landscape.grid.ndim}"))
    if not np.isfinite(landscape.values).any():
        raise InputError(worded("landscape", "at least one finite value", "none"))
    values = drawable(landscape.values)
    logarithmic = is_log(values)
    return np.log10(values) if logarithmic else values, logarithmic


def _lifted(landscape: Landscape, *, logarithmic: bool) -> dict[str, Array]:
    """Points of each run's lifts over the chart, shape (T, 3), by the run's name; NaN where there is no height."""
    if landscape.path is None or landscape.lifted_values is None:
        return {}
    z = drawable(landscape.lifted_values)
    if logarithmic:
        z = np.log10(np.where(z > 0, z, np.nan))
    points = np.column_stack([landscape.path, z])
    return {name: points[rows] for name, rows in landscape.paths.items()}


def _box(landscape: Landscape) -> tuple[tuple[float, float] | None, list[float]]:
    """Lengths of the sides in parameter distance, the longer one 1, and how far a short one is stretched."""
    extents = landscape.extents
    if extents is None:
        return None, [1.0, 1.0]
    sides = extents / extents.max()
    shown = np.maximum(sides, 1 / LONGEST)
    return (float(shown[0]), float(shown[1])), (shown / sides).tolist()


def _shape(landscape: Landscape, ax: Any) -> None:
    box, times = _box(landscape)
    if box is not None:
        ax.set_box_aspect((*box, 0.6))
    words = [axis_words(label.split(" (")[0].split(":")[0], by)
             for label, by in zip(landscape.axis_labels, times, strict=True)]  # fmt: skip
    ax.set_xlabel(words[0], fontsize="small")
    ax.set_ylabel(words[1], fontsize="small")


def _word(*, logarithmic: bool) -> str:
    return "log₁₀ loss" if logarithmic else "loss"
