"""The loss along paths between two points."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.connection import WAYS, Connection
from trajmap.plots.labels import headline, label_middles
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_connection"]

_TEXTS = dict(zip(WAYS, ("straight", "straight, units matched", "along a curve"), strict=True))


def plot_connection(connection: Connection, *, ax: "Axes | None" = None) -> "Axes":
    """Draw each path that was tried, and the band within which sister runs stay.

    Parameters
    ----------
    connection : Connection
        Losses along the ways.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    drawn = []
    # wide under narrow: paths that agree are both seen
    for way, colour, width in zip(WAYS, ("run", "second", "lift"), (3.6, 2.2, 1.2), strict=True):
        values = drawable(connection.along(way))
        if np.isfinite(values).any():
            ax.plot(connection.t, values, color=COLORS[colour], lw=width)
            drawn.append((_TEXTS[way], connection.t, values, COLORS[colour]))
    use_log(ax, "y", *(values for _, _, values, _ in drawn))
    ends = connection.losses[0, [0, -1]]
    low, high = ax.get_ylim()
    # a band thinner than a hundredth of the picture cannot be seen
    if connection.noise > 0.01 * (high - low) and np.isfinite(ends).all():
        line = (1 - connection.t) * ends[0] + connection.t * ends[1]
        ax.fill_between(
            connection.t, line, line + connection.noise, color=COLORS["null"], alpha=0.3, lw=0, label="sisters' climb"
        )
        ax.legend()
    ax.set(xlabel="position between the two ends", ylabel="loss")
    headline(ax, f"From this run to {connection.name}" if connection.name else "Between two points")
    label_middles(ax, drawn)
    return ax
