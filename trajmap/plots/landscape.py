"""The loss over a chart, the path through it, and where the run is no evidence."""

from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.results.critical_points import CriticalPoints
from trajmap.data.results.landscape import Landscape
from trajmap.errors import InputError
from trajmap.plots.labels import axis_words, chart_words, headline, note_below
from trajmap.plots.paths import draw_paths
from trajmap.plots.scales import drawable, equal_distance, levels_of, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_landscape"]

_KINDS = {"minimum": "v", "saddle": "X", "maximum": "^"}


def plot_landscape(landscape: Landscape, *, points: CriticalPoints | None = None, ax: "Axes | None" = None) -> "Axes":
    """Draw filled contours of the loss, the paths over them, and the region that the runs do not support in grey.

    Axes are drawn in equal parameter distance if the scale of the landscape is known; if one side would be over three
    times the other, the short one is stretched and labelled with the factor. Cells farther from every iterate than
    `landscape.reach` keep their lightness, which is the loss, and lose their colour: there the chart extrapolates.
    Cells with NaN or inf are left out and crossed. The scale of the loss is logarithmic if it is positive and spans
    more than a decade.

    Parameters
    ----------
    landscape : Landscape
        Over a grid of one or two axes.
    points : CriticalPoints, optional
        Of the same chart, marked by their kind; hollow where the chart hides a slope or a saddle.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If the grid has more than two axes, or no value is finite.
    """
    finite = landscape.values[np.isfinite(landscape.values)]
    if landscape.grid.ndim > 2:
        raise InputError(worded("landscape", "a grid of 1 or 2 axes", f"{landscape.grid.ndim}"))
    if not len(finite):
        raise InputError(worded("landscape", "at least one finite value", "none"))
    ax = open_axes(ax, tall=_tall(landscape))
    if landscape.grid.ndim == 1:
        _draw_line(landscape, ax)
    else:
        _draw_plane(landscape, finite, ax)
        if points is not None:
            _mark(points, ax)
    headline(ax, f"Loss over {chart_words(landscape.name)}")
    note = _note(landscape, landscape.values.size - len(finite))
    if note:
        note_below(ax, note)
    return ax


def _tall(landscape: Landscape) -> float:
    """How high a figure of its own is, in parts of the usual height: a wide picture needs less."""
    height = equal_distance(landscape)[0] if landscape.grid.ndim == 2 else None
    return 1.0 if height is None else float(np.clip(0.4 + 0.85 * height, 0.7, 1.5))


def _draw_line(landscape: Landscape, ax: Any) -> None:
    (axis,) = landscape.grid.axes
    ax.plot(axis, drawable(landscape.values), color=COLORS["run"])
    shown = [landscape.values]
    if landscape.support is not None:
        across = ax.get_xaxis_transform()
        ax.fill_between(axis, 0, 1, where=~landscape.support, transform=across, color=COLORS["null"], alpha=0.2, lw=0)
    if landscape.path is not None and landscape.path_values is not None:
        own = drawable(landscape.path_values)
        ax.plot(landscape.path[:, 0], own, ".", color=COLORS["lift"], ms=4, label="the iterates' own")
        shown.append(own)
        ax.legend()
    use_log(ax, "y", *shown)
    ax.set(xlabel=axis_words(landscape.axis_labels[0]), ylabel="loss")


def _draw_plane(landscape: Landscape, finite: Array, ax: Any) -> None:
    from matplotlib.colors import LogNorm, Normalize

    x, y = landscape.grid.axes
    levels, values, logarithmic = levels_of(finite, np.ma.masked_invalid(landscape.values).T)
    norm = (LogNorm if logarithmic else Normalize)(levels[0], levels[-1])
    filled = ax.contourf(x, y, values, levels=levels, norm=norm, cmap="viridis")
    _veil(landscape, values, levels, norm, ax)
    ax.contour(x, y, values, levels=levels[::3], norm=norm, colors="white", linewidths=0.5, alpha=0.6)
    column, row = np.nonzero(~np.isfinite(landscape.values))
    if len(row):
        ax.scatter(x[column], y[row], marker="x", color=COLORS["null"], s=9, linewidths=0.7)
    height, stretches = equal_distance(landscape)
    labels = [axis_words(label, times) for label, times in zip(landscape.axis_labels, stretches, strict=True)]
    # the axis is shorter upwards than a variance and its null are long
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel=labels[0], ylabel=labels[1].replace(" (", "\n(", 1))
    for axis in (ax.xaxis, ax.yaxis):  # they show a variance and its null, which takes room
        axis.label.set_size("small")
    if height is not None:
        ax.set_aspect(height * np.ptp(x) / np.ptp(y), adjustable="box")
    ax.locator_params(axis="x", nbins=6 if height is None or height < 1.5 else 3)
    ax.apply_aspect()
    draw_paths(landscape, ax)
    wide = max(1.0, 1.0 if height is None else height)  # a narrow picture's bar is a larger part of its width
    cax = ax.inset_axes((1 + 0.03 * wide, 0, 0.035 * wide, 1))  # as high as the picture
    bar = ax.figure.colorbar(filled, cax=cax)
    # ticks at powers of ten crowd or vanish on a narrow range: even levels are always there
    ticks = levels[:: 12 if height is not None and height < 0.5 else 6]
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label("loss" + (" (log scale)" if logarithmic else ""))


def _veil(landscape: Landscape, values: Any, levels: Array, norm: Any, ax: Any) -> None:
    """Take the colour of the cells that the runs do not support, and draw the border."""
    if landscape.support is None or landscape.support.all():
        return
    x, y = landscape.grid.axes
    outside = (~landscape.support).astype(float).T
    region = ax.contourf(x, y, outside, levels=[0.5, 1.5], colors="none")
    grey = ax.contourf(x, y, values, levels=levels, norm=norm, cmap=_without_colour())
    grey.set_clip_path(region.get_paths()[0], ax.transData)
    if landscape.support.any():
        ax.contour(x, y, outside, levels=[0.5], colors=["#1b1f24"], linewidths=0.9)


def _without_colour() -> Any:
    """Viridis with its own lightness, a little paler, and a fifth of its colour."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colours = colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    light = linear @ [0.2126, 0.7152, 0.0722]
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return ListedColormap(0.2 + 0.76 * (0.8 * encoded[:, None] + 0.2 * colours))


def _note(landscape: Landscape, n_broken: int) -> str:
    """Collect the notes for the picture."""
    found = []
    if landscape.support is not None and not landscape.support.all():
        share = 1 - landscape.support.mean()
        shown = "all" if not landscape.support.any() else ">99.5%" if share > 0.995 else f"{share:.0%}"
        found.append(f"grey: {shown} of the cells, farther than {landscape.reach:.2g} from every iterate")
        if landscape.is_a_curve:
            found.append("one run supports a curve, not a surface")
    if landscape.residuals is not None and np.isfinite(landscape.residuals).any():
        off = np.nanmedian(landscape.residuals)
        where = f"{off:.2g} off" if not off < 1e-6 * landscape.reach else "on"
        found.append(f"iterates lie {where} the chart")
    if n_broken:
        found.append(f"crossed: {n_broken} cell{'s' if n_broken > 1 else ''} NaN or inf")
    return "\n".join(found)


def _mark(points: CriticalPoints, ax: Any) -> None:
    pen = "#1b1f24"
    hidden = points.hidden_slope | points.hidden_saddle
    told = set()
    for z, kind, hollow in zip(points.z, points.kinds, hidden, strict=True):
        word = f"{kind}, with a slope or a saddle off the chart" if hollow else kind
        ax.scatter(*z, marker=_KINDS[kind], s=70, facecolors="none" if hollow else "white", edgecolors=COLORS["lift"],
                   linewidths=1.6, zorder=6, label=None if word in told else word)  # fmt: skip
        told.add(word)
    if told:
        ax.legend(loc="best", frameon=True, facecolor="white", framealpha=0.8, edgecolor="none", labelcolor=pen)
