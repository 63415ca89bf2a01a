"""Both sides of a model along noise with its signs."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.asymmetry import Asymmetry
from trajmap.plots.labels import headline, label_ends
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_asymmetry"]


def plot_asymmetry(sweep: Asymmetry, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the measure on both sides by the share of the model's signs; share 0 is the control.

    Parameters
    ----------
    sweep : Asymmetry
        The measure by share and draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    drawn = []
    for name, sign, measured in (("run", "+", sweep.plus), ("lift", "−", sweep.minus)):
        values = drawable(measured)
        draws = np.repeat(sweep.shares[:, None], values.shape[1], axis=1)
        ax.scatter(draws, values, s=8, color=COLORS[name], alpha=0.35, linewidths=0)
        mean = values.mean(axis=1)
        ax.plot(sweep.shares, mean, "o-" if sign == "+" else "s-", color=COLORS[name])
        drawn.append((f"θ {sign} noise", sweep.shares, mean, COLORS[name]))
    size = "" if np.isnan(sweep.scale) else f", of norm {sweep.scale:.2g}"
    ax.set(xlabel=f"share of the noise{size} with the model's signs", ylabel=sweep.measure)
    headline(ax, f"{sweep.measure}(−)/{sweep.measure}(+): {sweep.ratios[0]:.2f} to {sweep.ratios[-1]:.2f}")
    use_log(ax, "y", sweep.plus, sweep.minus)
    label_ends(ax, drawn)
    return ax
