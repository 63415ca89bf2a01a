"""The loss over a chart, the path through it, and where the run says nothing."""

from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.results.critical_points import CriticalPoints
from trajmap.data.results.landscape import Landscape
from trajmap.errors import InputError
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_landscape"]


def plot_landscape(landscape: Landscape, *, points: CriticalPoints | None = None, ax: "Axes | None" = None) -> "Axes":
    """Draw filled contours of the loss, the path coloured by time, and the unsupported region hatched.

    Cells farther from every iterate than `landscape.reach` are hatched: there the chart extrapolates. Cells
    with NaN or inf are left grey. The colour scale is logarithmic where the loss is positive and spans more than
    a factor of ten.

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
    ax = open_axes(ax)
    if landscape.grid.ndim == 1:
        _draw_line(landscape, ax)
    else:
        _draw_plane(landscape, finite, ax)
        if points is not None:
            _mark(points, ax)
    n_broken = landscape.values.size - len(finite)
    n_nonfinite = f" · {n_broken} cells NaN or inf" if n_broken else ""
    ax.set_title(f"Loss over {landscape.name or 'the chart'}{n_nonfinite}")
    return ax


def _draw_line(landscape: Landscape, ax: Any) -> None:
    (axis,) = landscape.grid.axes
    ax.plot(axis, landscape.values, color=COLORS["run"])
    if landscape.support is not None:
        ax.fill_between(axis, 0, 1, where=~landscape.support, transform=ax.get_xaxis_transform(), color="#80808030")
    if landscape.path is not None and landscape.path_values is not None:
        ax.plot(landscape.path[:, 0], landscape.path_values, ".", color=COLORS["lift"], ms=4, label="the iterates' own")
        ax.legend()
    ax.set(xlabel=landscape.axis_labels[0], ylabel="loss")


def _draw_plane(landscape: Landscape, finite: Array, ax: Any) -> None:
    from matplotlib.colors import LogNorm, Normalize

    x, y = landscape.grid.axes
    levels, values, logarithmic = _levels(finite, np.ma.masked_invalid(landscape.values).T)
    norm = LogNorm(levels[0], levels[-1]) if logarithmic else Normalize(levels[0], levels[-1])
    ax.set_facecolor("#9a9a9a")
    filled = ax.contourf(x, y, values, levels=levels, norm=norm, cmap="viridis")
    ax.contour(x, y, values, levels=levels[::3], norm=norm, colors="white", linewidths=0.4, alpha=0.5)
    bar = ax.figure.colorbar(filled, ax=ax, pad=0.02)
    # ticks at powers of ten crowd or vanish on a narrow range: five even levels are always there
    ticks = levels[:: len(levels) // 4]
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label("loss" + (" (log scale)" if logarithmic else ""))
    _hatch(landscape, ax)
    for name, rows in landscape.paths.items():
        assert landscape.path is not None
        _draw_path(landscape.path[rows], name, ax)
    # the axis is shorter upwards than a variance beside its null is long
    upwards = landscape.axis_labels[1].replace(" (", "\n(", 1)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel=landscape.axis_labels[0], ylabel=upwards)
    for axis in (ax.xaxis, ax.yaxis):  # they say a variance and its null, which takes room
        axis.label.set_size(8)


def _levels(finite: Array, values: Any) -> tuple[Array, Any, bool]:
    """Give 25 levels that increase, also where all values are equal but for rounding, and values within their range."""
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high > 10 * low:
        levels = np.geomspace(low, high, 25)
        if (np.diff(levels) > 0).all():
            return levels, values, True
    # the library takes differences of levels and colours: half of the largest number is the largest range
    most = np.finfo(float).max / 8
    low, high = max(low, -most), min(high, most)
    # fewer than a thousand numbers between the ends make no 25 levels
    if high - low <= 1e3 * max(np.spacing(max(abs(low), abs(high))), np.finfo(float).tiny):
        around = 0.5 * max(1.0, abs(low), abs(high))
        low, high = low - around, high + around
    return np.linspace(low, high, 25), values.clip(low, high), False


def _hatch(landscape: Landscape, ax: Any) -> None:
    """Veil and hatch the cells the run says nothing of."""
    if landscape.support is None or landscape.support.all():
        return
    from matplotlib.patches import Patch

    x, y = landscape.grid.axes
    outside = (~landscape.support).astype(float).T
    ax.contourf(x, y, outside, levels=[0.5, 1.5], colors=["#ffffff"], alpha=0.35)
    hatched = ax.contourf(x, y, outside, levels=[0.5, 1.5], colors="none", hatches=["////"])
    hatched.set_edgecolor("#1b1f24")
    hatched.set_linewidth(0)
    share = 1 - landscape.support.mean()
    text = f"unsupported: {share:.0%} of the cells"
    if landscape.is_a_curve:
        text += " (one run: a curve, not a surface)"
    if landscape.residuals is not None and np.isfinite(landscape.residuals).any():
        text += f"\niterates lie {np.nanmedian(landscape.residuals):.2g} off the chart, reach {landscape.reach:.2g}"
    patch = Patch(facecolor="#c9ced6", edgecolor="#1b1f24", hatch="////", label=text)
    ax.legend(handles=[patch], loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _mark(points: CriticalPoints, ax: Any) -> None:
    shapes = {"minimum": "v", "saddle": "X", "maximum": "^"}
    hidden = points.hidden_slope | points.hidden_saddle
    for z, kind, hollow in zip(points.z, points.kinds, hidden, strict=True):
        face = "none" if hollow else "white"
        ax.scatter(*z, marker=shapes[kind], s=90, facecolors=face, edgecolors="#D55E00", linewidths=1.6, zorder=6)


def _draw_path(path: Array, name: str, ax: Any) -> None:
    ax.plot(path[:, 0], path[:, 1], color="#111111", linewidth=2.6, alpha=0.55, zorder=3)
    ax.scatter(path[:, 0], path[:, 1], c=np.arange(len(path)), cmap="autumn", s=7, zorder=4, linewidths=0)
    for place, marker, text in ((0, "o", "start"), (-1, "*", f"end of {name}" if name else "end")):
        x, y = path[place]
        ax.scatter([x], [y], marker=marker, s=110, color="white", edgecolors="#111111", zorder=5)
        ax.annotate(
            text,
            (x, y),
            xytext=(7, 7),
            textcoords="offset points",
            fontsize=9,
            color="#111111",
            zorder=6,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "linewidth": 0},
        )
