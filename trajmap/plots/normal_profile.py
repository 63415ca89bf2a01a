"""The loss in the directions a chart does not see."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.normal_profile import NormalProfile
from trajmap.plots.labels import chart_words, headline, label_ends
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_normal_profile"]


def plot_normal_profile(profile: NormalProfile, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the loss along each normal direction, the random ones in grey as the baseline.

    Parameters
    ----------
    profile : NormalProfile
        Losses along normal directions.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    colours = {"downhill": "lift", "highest curvature": "run", "lowest curvature": "second"}
    drawn, told = [], False
    for name, losses in zip(profile.names, profile.losses, strict=True):
        if not np.isfinite(losses).any():
            continue
        known = name in colours
        colour, shown = COLORS[colours.get(name, "null")], drawable(losses)
        ax.plot(profile.offsets, shown, color=colour, lw=1.8 if known else 0.9)
        if known or not told:
            drawn.append((name if known else "random", profile.offsets, shown, colour))
        told = told or not known
    use_log(ax, "y", profile.losses)
    if np.isfinite(profile.value + profile.rise) and profile.rise > 0:
        ax.axhline(profile.value + profile.rise, ls=":", color=COLORS["null"], lw=0.8)
    ax.set(xlabel="distance from the chart, in parameter space", ylabel="loss")
    headline(ax, f"Off {chart_words(profile.name)}: normal gradient {profile.normal_gradient:.2g}")
    label_ends(ax, drawn)
    return ax
