"""Which variables matter, by the order of the derivative."""

import re
from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.sensitivity import Sensitivity
from trajmap.plots.labels import headline, legend_below
from trajmap.plots.theme import COLORS, open_axes, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_sensitivity"]

_MOST = 12  # rows that can be read where the picture is small


def plot_sensitivity(sensitivity: Sensitivity, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean absolute derivatives of the twelve variables with the largest first ones, each order over its top.

    Parameters
    ----------
    sensitivity : Sensitivity
        Derivatives over one or several points.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    mean = sensitivity.mean
    top = np.nanmax(mean, axis=1, keepdims=True, initial=0.0)
    scaled = mean / np.where(top > 0, top, 1.0)
    chosen = np.argsort(-np.nan_to_num(scaled[0]), kind="stable")[:_MOST]
    places = np.arange(len(chosen))
    known = np.nan_to_num(scaled[:, chosen])
    ax.hlines(places, known.min(axis=0), known.max(axis=0), color=COLORS["null"], lw=0.8, zorder=1)
    for k, row in enumerate(scaled):
        look = series(k) | {"linestyle": ""}
        ax.plot(row[chosen], places, ms=5.5, label=f"order {k + 1}", **look)
    ax.set_yticks(places, [_variable(sensitivity.names[i]) for i in chosen])
    ax.invert_yaxis()
    ax.set(xlabel="mean absolute derivative, over the largest of its order", xlim=(-0.03, 1.03))
    n, of = len(sensitivity.values), len(sensitivity.names)
    rest = f": {len(chosen)} of {of} variables" if of > len(chosen) else ""
    headline(ax, f"Sensitivity at {n} point{'s' if n > 1 else ''}{rest}")
    legend_below(ax, columns=len(scaled))
    return ax


def _variable(name: str) -> str:
    """Describe a variable without a name of its own."""
    number = re.fullmatch(r"x(\d+)", name)
    return f"input {number[1]}" if number else name
