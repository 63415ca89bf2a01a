"""The loss along a direction that was looked for."""

from typing import TYPE_CHECKING

from trajmap.data.results.mined_direction import MinedDirection
from trajmap.plots.labels import headline
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_mined_direction"]


def plot_mined_direction(direction: MinedDirection, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the loss along the direction; the model is at 0.

    Parameters
    ----------
    direction : MinedDirection
        A direction and the loss along it.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    losses = drawable(direction.losses)
    ax.plot(direction.offsets, losses, color=COLORS["run"])
    ax.axvline(0, color=COLORS["null"], lw=0.8)
    use_log(ax, "y", losses)
    ax.set(xlabel="offset, in lengths of the direction", ylabel="loss")
    headline(ax, "The loss along a mined direction")
    return ax
