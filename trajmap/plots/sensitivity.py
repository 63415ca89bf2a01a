"""Which variables matter, by the order of the derivative."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.sensitivity import Sensitivity
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_sensitivity"]


def plot_sensitivity(sensitivity: Sensitivity, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean absolute derivatives of each variable, each order over its own largest; at most twenty variables.

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
    top = mean.max(axis=1, keepdims=True)
    scaled = mean / np.where(top > 0, top, 1.0)
    chosen = np.argsort(-np.nan_to_num(scaled[0]), kind="stable")[:20]
    colours = [COLORS[name] for name in ("run", "lift", "second", "third")]
    height = 0.8 / len(mean)
    for k, row in enumerate(scaled):
        places = np.arange(len(chosen)) + (k - (len(mean) - 1) / 2) * height
        ax.barh(places, row[chosen], height=height, color=colours[k % 4], label=f"order {k + 1}")
    ax.set_yticks(range(len(chosen)), [sensitivity.names[i] for i in chosen], fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="mean absolute derivative, over the largest of its order")
    n = len(sensitivity.values)
    ax.set_title(f"Sensitivity of the loss over {n} point{'s' if n > 1 else ''}")
    ax.legend()
    return ax
