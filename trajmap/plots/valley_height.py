"""What averaging the last iterates gains."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.valley_height import ValleyHeight
from trajmap.plots.labels import headline
from trajmap.plots.scales import drawable
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_valley_height"]


def plot_valley_height(valley: ValleyHeight, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the losses of the last iterate, of the iterates and of their average, and what averaging gains.

    Parameters
    ----------
    valley : ValleyHeight
        Losses and the interval of the gain.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    losses = drawable(np.array([valley.last, valley.mean, valley.average]))
    rows = ["last iterate", f"mean of the\nlast {valley.n_iterates}", "their average"]
    ax.plot(losses, range(3), "o", color=COLORS["run"], ms=8)
    for row, loss in enumerate(losses):
        ax.annotate(
            f"{loss:.4g}", (loss, row), xytext=(0, 7), textcoords="offset points", ha="center", fontsize="small"
        )
    low, high = drawable(np.array([valley.last - valley.high, valley.last - valley.low]))
    if np.isfinite([low, high]).all():
        ax.plot([low, high], [2, 2], color=COLORS["run"], lw=4, alpha=0.3, label="gain, 90 %")
        ax.legend()
    ax.set_yticks(range(3), rows)
    ax.set(xlabel="loss", ylim=(2.5, -0.6))
    ax.margins(x=0.15)
    words = {"yes": "Averaging gains", "no": "Averaging does not gain", "unknown": "A gain by averaging is not known:"}
    headline(ax, f"{words[valley.holds]} {valley.gain:+.2g}" if valley.holds != "no" else words["no"])
    return ax
