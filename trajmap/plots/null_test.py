"""A statistic of a run and of its surrogates."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.null_test import NullTest
from trajmap.plots.labels import headline
from trajmap.plots.scales import bins_of, drawable
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_null_test"]


def plot_null_test(test: NullTest, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the draws of the null as a histogram, and the run's own value as a line.

    Parameters
    ----------
    test : NullTest
        The statistic and its draws.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    draws = drawable(test.null[np.isfinite(test.null)])
    if len(draws):
        bins = bins_of(draws, max(5, min(30, len(draws) // 4)))
        ax.hist(draws, bins=bins.tolist(), color=COLORS["null"], alpha=0.6, edgecolor="white", lw=0.5)
    if np.isfinite(test.value):
        value = float(drawable(np.array(test.value)))
        ax.axvline(value, color=COLORS["run"], lw=2)
        ax.annotate(f"this run: {test.value:.3g}", (value, 1), xycoords=ax.get_xaxis_transform(), xytext=(4, -4),
                    textcoords="offset points", rotation=90, va="top", fontsize="small")  # fmt: skip
    ax.set(xlabel=test.statistic or "statistic", ylabel=f"draws of {len(test.null)}: {test.surrogate or 'surrogates'}")
    headline(ax, f"{(test.statistic or 'The statistic').capitalize()} and its null: p = {test.p:.2g}")
    return ax
