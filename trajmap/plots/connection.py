"""The loss along ways between two points."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.connection import WAYS, Connection
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_connection"]


def plot_connection(connection: Connection, *, ax: "Axes | None" = None) -> "Axes":
    """Draw each way that was tried, and the band within which sister runs stay.

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
    for way, colour in zip(WAYS, ("run", "second", "lift"), strict=True):
        values = connection.along(way)
        if np.isfinite(values).any():
            ax.plot(connection.t, values, color=COLORS[colour], label=way)
    ends = connection.losses[0, [0, -1]]
    if np.isfinite(connection.noise) and np.isfinite(ends).all():
        line = (1 - connection.t) * ends[0] + connection.t * ends[1]
        ax.fill_between(
            connection.t, line, line + connection.noise, color=COLORS["null"], alpha=0.3, label="sisters' climb"
        )
    ax.set(xlabel="position between the two points", ylabel="loss")
    ax.set_title(f"From this run to {connection.name}" if connection.name else "Between two points")
    ax.legend()
    return ax
