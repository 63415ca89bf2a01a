"""Barriers between runs as a heat map."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.barriers import Barriers
from trajmap.plots.labels import headline
from trajmap.plots.scales import drawable
from trajmap.plots.theme import ink, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_barriers"]


def plot_barriers(barriers: Barriers, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the table of barriers, each with its number; a dot marks those within the sisters' noise.

    Parameters
    ----------
    barriers : Barriers
        The table.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    values = drawable(barriers.values)
    finite = values[np.isfinite(values)]
    high = float(finite.max()) if len(finite) and finite.max() > 0 else 1.0
    image = ax.imshow(np.ma.masked_invalid(values), cmap="viridis", vmin=0, vmax=high)
    places = range(len(barriers.names))
    ax.set_xticks(places, barriers.names, rotation=35, ha="right")
    ax.set_yticks(places, barriers.names)
    for i in places:
        for j in places:
            if i == j:
                continue
            dark = values[i, j] < 0.6 * high
            dot = " •" if barriers.values[i, j] <= barriers.noise else ""
            colour = ink()[0] if not np.isfinite(values[i, j]) else "white" if dark else "#111111"
            ax.text(j, i, f"{barriers.values[i, j]:.2g}{dot}", ha="center", va="center", fontsize="small", color=colour)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02)
    bar.set_label("barrier, in units of the loss")
    within = "" if np.isnan(barriers.noise) else f" (• within the sisters' {barriers.noise:.2g})"
    headline(ax, f"Barriers{' after matching units' if barriers.matched else ''}{within}")
    return ax
