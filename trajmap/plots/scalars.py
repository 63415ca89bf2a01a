"""What was recorded beside the iterates."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.trajectory import Trajectory
from trajmap.plots.theme import COLORS, open_axes

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
        The axes; they say so when no loss was recorded.
    """
    ax = open_axes(ax)
    losses = {name: values for name, values in trajectory.scalars.items() if "loss" in name}
    colours = [COLORS[name] for name in ("run", "lift", "second", "third", "warning")]
    for i, (name, values) in enumerate(sorted(losses.items(), key=lambda item: item[0].startswith("batch"))):
        batch = name.startswith("batch")
        colour = COLORS["null"] if batch else colours[i % len(colours)]
        ax.plot(
            trajectory.steps,
            values,
            color=colour,
            linewidth=0.7 if batch else 1.8,
            label=name,
            zorder=1 if batch else 2,
        )
    positive = [values[np.isfinite(values)].min(initial=np.inf) > 0 for values in losses.values()]
    if losses and all(positive):
        ax.set_yscale("log")
    if losses:
        ax.legend()
    else:
        ax.text(0.5, 0.5, "no loss was recorded", ha="center", transform=ax.transAxes)
    ax.set(xlabel="optimizer step", ylabel="loss")
    ax.set_title("Recorded losses")
    return ax
