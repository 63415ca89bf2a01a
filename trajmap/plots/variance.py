"""Explained variance beside random walks."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.variance_spectrum import VarianceSpectrum
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
    low, mid, high = np.quantile(spectrum.null, [0.05, 0.5, 0.95], axis=0)
    ax.bar(k - 0.2, 100 * spectrum.ratios, 0.4, color=COLORS["run"], label="this run")
    error = 100 * np.stack([mid - low, high - mid])
    ax.bar(
        k + 0.2, 100 * mid, 0.4, yerr=error, capsize=3, color=COLORS["null"], ecolor=COLORS["warning"],
        label="random walks with its steps (5–95 %)",
    )  # fmt: skip
    ax.plot(k + 0.2, 100 * spectrum.theory, "_", markersize=16, color=COLORS["lift"], label="6/(π²k²), endless walk")
    ax.set(xlabel="principal component", ylabel="explained variance, %", xticks=k)
    ax.set_title("Explained variance and its null")
    ax.legend()
    return ax
