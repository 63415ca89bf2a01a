"""The loss in the directions a chart does not see."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.normal_profile import NormalProfile
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
    text = False
    for name, losses in zip(profile.names, profile.losses, strict=True):
        if not np.isfinite(losses).any():
            continue
        known = name in colours
        label = name if known else None if text else "random"
        text = text or not known
        ax.plot(profile.offsets, losses, color=COLORS[colours.get(name, "null")], label=label, lw=1.8 if known else 0.9)
    ax.axhline(profile.value + profile.rise, ls=":", color=COLORS["null"], lw=0.8)
    ax.set(xlabel="distance from the chart, in parameter space", ylabel="loss")
    ax.set_title(f"Off {profile.name or 'the chart'}: normal gradient {profile.normal_gradient:.2g}")
    ax.legend()
    return ax
