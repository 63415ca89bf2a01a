"""Losses along lines through a model."""

from typing import TYPE_CHECKING

from trajmap.data.results.line_profiles import LineProfiles
from trajmap.plots.labels import headline, legend_below
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes, series

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
    text, place = False, 0
    for name, kind, losses in zip(curves.names, curves.kinds, curves.losses, strict=True):
        if name.startswith("random"):
            label = None if text else "random directions"
            text = True
            ax.plot(curves.offsets, drawable(losses), color=COLORS["null"], lw=0.8, label=label, zorder=1)
        else:
            every = max(1, len(losses) // 6)  # a mark here and there tells lines apart without colour
            start = place % 5 * every // 5
            ax.plot(curves.offsets, drawable(losses), lw=1.5, ms=4, markevery=(start, every), **series(place),
                    label=f"{name}: {kind}")  # fmt: skip
            place += 1
    use_log(ax, "y", curves.losses)
    ax.axvline(0, color=COLORS["null"], lw=0.6)
    ax.set(xlabel="offset, in lengths of the direction", ylabel="loss")
    headline(ax, f"The loss along lines through {curves.through}")
    legend_below(ax)
    return ax
