"""The path in a chart, without a landscape."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.reduction import Reduction
from trajmap.plots.labels import axis_words, chart_words, headline
from trajmap.plots.scales import LONGEST, drawable
from trajmap.plots.theme import COLORS, open_axes, time_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_embedding"]


def plot_embedding(reduction: Reduction, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the first two coordinates, coloured by time; a single coordinate against its index.

    Both coordinates have one unit, as the embedding gave them, unless one side would be over three times the other:
    then the label of the short one shows how far it is stretched.

    Parameters
    ----------
    reduction : Reduction
        The points in time order.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    time, Z = np.arange(len(reduction.Z)), drawable(reduction.Z)
    single = Z.shape[1] == 1
    x, y = (time, Z[:, 0]) if single else Z[:, :2].T
    ax.plot(x, y, linewidth=0.6, color=COLORS["null"], zorder=1)
    dots = ax.scatter(x, y, c=time, cmap=time_colours(), s=12, zorder=2, linewidths=0)
    labels = ["iterate", "coordinate 1"] if single else ["coordinate 1", "coordinate 2"]
    if not single:
        labels = _shape(ax, labels, np.array([np.nanmax(part) - np.nanmin(part) for part in (x, y)]))
        bar = ax.figure.colorbar(dots, cax=ax.inset_axes((1.03, 0, 0.035, 1)))
        bar.set_label("iterate")
    for place, word in ((0, "start"), (-1, "end")):
        right = x[place] > (np.nanmin(x) + np.nanmax(x)) / 2  # towards the middle, where there is room
        ax.annotate(word, (x[place], y[place]), xytext=(-5 if right else 5, 5), textcoords="offset points",
                    ha="right" if right else "left", fontsize="small")  # fmt: skip
    ax.set(xlabel=labels[0], ylabel=labels[1])
    headline(ax, f"The run embedded by {chart_words(reduction.name)}")
    return ax


def _shape(ax: "Axes", labels: list[str], extents: np.ndarray) -> list[str]:
    """Draw both coordinates in one unit, or label how far one is stretched."""
    if not (extents > 0).all():
        return labels
    ratio = float(extents[1] / extents[0])
    if 1 / LONGEST <= ratio <= LONGEST:
        ax.set_aspect("equal", adjustable="box")
        return labels
    ax.set_box_aspect(0.75)
    stretch = 0.75 / ratio
    times = [1.0, stretch] if stretch > 1 else [1 / stretch, 1.0]
    return [axis_words(label, by) for label, by in zip(labels, times, strict=True)]
