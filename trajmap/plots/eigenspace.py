"""Eigenvalues at one point."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.eigenspace import Eigenspace
from trajmap.plots.labels import headline
from trajmap.plots.scales import drawable
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_eigenspace"]


def plot_eigenspace(space: Eigenspace, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the eigenvalues with their residuals; hollow where the finder did not converge.

    Parameters
    ----------
    space : Eigenspace
        Eigenpairs.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    values, errors = drawable(space.eigenvalues), np.nan_to_num(drawable(space.residuals))
    places = np.arange(1, space.k + 1)
    ax.vlines(places, 0, values, color=COLORS["null"], lw=1)
    ax.errorbar(places, values, errors, ls="", color=COLORS["run"], lw=1.2, capsize=3)
    for converged in (True, False):
        chosen = space.converged == converged
        face, word = (COLORS["run"], "converged") if converged else ("none", "not converged")
        if chosen.any():
            ax.plot(
                places[chosen], values[chosen], "o", color=COLORS["run"], markerfacecolor=face, label=word, zorder=3
            )
    if not space.converged.all():
        ax.legend()
    ax.axhline(0, color=COLORS["null"], lw=0.8)
    ax.set(xlabel="number of the eigenvalue", ylabel="eigenvalue", xticks=places[:: max(1, space.k // 10)])
    headline(ax, f"{space.k} eigenvalue{'' if space.k == 1 else 's'}, bars: residuals")
    return ax
