"""Curvatures of random directions."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.direction_curvatures import DirectionCurvatures
from trajmap.plots.labels import headline, legend_below
from trajmap.plots.scales import bins_of, drawable
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_direction_curvatures"]


def plot_direction_curvatures(curvatures: DirectionCurvatures, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the curvatures of random directions, and the mean and two deviations that the spectrum gives them.

    Parameters
    ----------
    curvatures : DirectionCurvatures
        Measured and expected.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    known = drawable(curvatures.values[np.isfinite(curvatures.values)])
    bins = bins_of(known, max(5, len(known) // 4))
    counts, *_ = ax.hist(known, bins=bins.tolist(), color=COLORS["run"], alpha=0.75, edgecolor="white",
                        linewidth=0.6, label="measured")  # fmt: skip
    ax.set_ylim(0, 1.05 * max(1.0, float(np.max(counts))))
    low, high = curvatures.mean - 2 * curvatures.deviation, curvatures.mean + 2 * curvatures.deviation
    ax.axvspan(low, high, color=COLORS["lift"], alpha=0.2, lw=0, zorder=0, label="by the spectrum: mean ± 2 deviations")
    ax.axvline(curvatures.mean, color=COLORS["lift"], ls="--")
    ax.axvline(0, color=COLORS["null"], lw=0.8)
    ax.set(xlabel="curvature along a unit direction", ylabel=f"directions of {len(curvatures.values)}")
    headline(ax, f"{curvatures.share_up:.0%} of random directions curve up")
    legend_below(ax, columns=1)
    return ax
