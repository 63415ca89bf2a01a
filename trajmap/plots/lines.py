"""Losses along lines through a model."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.line_profiles import LineProfiles
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_lines"]


def plot_lines(curves: LineProfiles, *, ax: "Axes | None" = None) -> "Axes":
    """Draw each curve with its class; random directions in grey are the baseline.

    Parameters
    ----------
    curves : LineProfiles
        Losses along lines.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    colours = [COLORS[name] for name in ("run", "lift", "second", "third", "warning")]
    text, place = False, 0
    for name, kind, losses in zip(curves.names, curves.kinds, curves.losses, strict=True):
        if name.startswith("random"):
            label = None if text else "random directions"
            text = True
            ax.plot(curves.offsets, losses, color=COLORS["null"], lw=0.8, label=label, zorder=1)
        else:
            style = "-" if place < 5 else "--"  # five colours, then again dashed
            ax.plot(curves.offsets, losses, style, color=colours[place % 5], lw=1.6, label=f"{name}: {kind}")
            place += 1
    known = curves.losses[np.isfinite(curves.losses)]
    if len(known) and known.min() > 0 and known.max() > 10 * known.min():
        ax.set_yscale("log")
    ax.axvline(0, color=COLORS["null"], lw=0.6)
    ax.set(xlabel="offset, in lengths of the direction", ylabel="loss")
    ax.set_title(f"The loss along lines through {curves.through}")
    ax.legend(fontsize=8, ncols=2 if place > 4 else 1)
    return ax
