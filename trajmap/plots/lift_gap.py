"""The loss of the iterates, of their lifts, and of iterates moved as far at random."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.lift_gap import LiftGap
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_lift_gap"]


def plot_lift_gap(lift_gap: LiftGap, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the three losses by step.

    Parameters
    ----------
    lift_gap : LiftGap
        Losses along the run.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    steps = lift_gap.steps
    ax.plot(steps, lift_gap.values, color=COLORS["run"], label="iterate")
    ax.plot(steps, lift_gap.lifted_values, color=COLORS["lift"], label="its lift")
    ax.plot(
        steps,
        lift_gap.control_values,
        ":",
        color=COLORS["null"],
        label="iterate moved as far in a random direction",
    )
    losses = np.concatenate([lift_gap.values, lift_gap.lifted_values, lift_gap.control_values])
    known = losses[np.isfinite(losses)]
    if len(known) and known.min() > 0 and known.max() > 10 * known.min():
        ax.set_yscale("log")
    ax.set(xlabel="optimizer step", ylabel="loss")
    ax.set_title(f"Lift gap of {lift_gap.name or 'the chart'}: median {np.nanmedian(lift_gap.gap):+.3g}")
    ax.legend()
    return ax
