"""Explained variance and random walks."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.plots.labels import headline
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_variance"]


def plot_variance(spectrum: VarianceSpectrum, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of each principal component, with the range of random walks and their theory.

    Parameters
    ----------
    spectrum : VarianceSpectrum
        Shares of the run and of its null.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    k = np.arange(1, len(spectrum.ratios) + 1)
    own, theory = 100 * drawable(spectrum.ratios), 100 * drawable(spectrum.theory)
    low, middle, high = 100 * np.quantile(drawable(spectrum.null), [0.05, 0.5, 0.95], axis=0)
    ax.vlines(k, low, high, color=COLORS["null"], lw=5, alpha=0.5, label="random walks, 5–95 %")
    ax.plot(k, middle, "_", color=COLORS["null"], markersize=14)
    ax.plot(k, theory, "x", color=COLORS["lift"], markersize=6, label="6/(π²k²), endless walk")
    ax.plot(k, own, "o", color=COLORS["run"], markersize=7, label="this run")
    use_log(ax, "y", own[own > 0], low[low > 0], high, theory)  # from the third on a bar would be no line high
    ax.set(xlabel="principal component", ylabel="explained variance, %", xticks=k)
    ax.margins(x=0.08)
    headline(ax, "Explained variance and its null")
    ax.legend()
    return ax
