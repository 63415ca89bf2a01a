"""Whether an objective is what a run recorded."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.loss_check import LossCheck
from trajmap.plots.labels import headline, legend_below
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_loss_check"]


def plot_loss_check(check: LossCheck, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the losses that the run recorded last, and the objective's as a line.

    Parameters
    ----------
    check : LossCheck
        The objective and the recorded losses.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    recorded, value = drawable(check.recorded), drawable(np.array([check.value]))
    ax.plot(np.arange(len(recorded)) - len(recorded) + 1, recorded, "o", color=COLORS["run"], ms=5, label="recorded")
    if np.isfinite(value[0]):
        ax.axhline(value[0], color=COLORS["lift"], lw=2, label=f"the objective: {check.value:.4g}")
    use_log(ax, "y", recorded, value)
    ax.set(xlabel="iterate, the last one is 0", ylabel="loss")
    words = {True: "agrees with", False: "is not", None: "cannot be compared with"}
    headline(ax, f"The objective {words[check.agrees]} the recorded loss")
    ax.margins(y=0.15)
    legend_below(ax)
    return ax
