"""What was recorded with the iterates."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.trajectory import Trajectory
from trajmap.plots.labels import headline, label_ends
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, SERIES, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_scalars"]


def plot_scalars(trajectory: Trajectory, *, ax: "Axes | None" = None) -> "Axes":
    """Draw every recorded scalar with "loss" in its name by step.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with a note if no loss was recorded.
    """
    ax = open_axes(ax)
    losses = {name: values for name, values in trajectory.scalars.items() if "loss" in name}
    drawn = []
    for i, (name, values) in enumerate(sorted(losses.items(), key=lambda item: item[0].startswith("batch"))):
        batch = name.startswith("batch")
        colour, shown = COLORS["null"] if batch else SERIES[i % len(SERIES)], drawable(values)
        dash = "-" if i < len(SERIES) else "--"
        ax.plot(trajectory.steps, shown, dash, color=colour, lw=0.7 if batch else 1.8, zorder=1 if batch else 2)
        drawn.append((name.replace("_", " "), np.asarray(trajectory.steps, dtype=float), shown, colour))
    use_log(ax, "y", *(values for _, _, values, _ in drawn))
    if not losses:
        ax.text(0.5, 0.5, "no loss was recorded", ha="center", transform=ax.transAxes)
    ax.set(xlabel="optimizer step", ylabel="loss")
    headline(ax, "Recorded losses")
    label_ends(ax, drawn)
    return ax
