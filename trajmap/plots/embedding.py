"""The path in a chart, without a landscape."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.reduction import Reduction
from trajmap.plots.theme import open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_embedding"]


def plot_embedding(reduction: Reduction, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the first two coordinates, coloured by time; a single coordinate against its index.

    Parameters
    ----------
    reduction : Reduction
        The points in time order.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    time = np.arange(len(reduction.Z))
    x, y = (time, reduction.Z[:, 0]) if reduction.Z.shape[1] == 1 else reduction.Z[:, :2].T
    ax.plot(x, y, linewidth=0.6, color="#808080", zorder=1)
    ax.scatter(x, y, c=time, cmap="plasma", s=10, zorder=2)
    labels = ("iterate", "coordinate 1") if reduction.Z.shape[1] == 1 else ("coordinate 1", "coordinate 2")
    ax.set(xlabel=labels[0], ylabel=labels[1])
    ax.set_title(f"{reduction.name or 'Embedding'}: dark early, bright late")
    return ax
