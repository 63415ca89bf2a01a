"""How often a run is at a place, as a potential."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap._validation import worded
from trajmap.data.results.effective_potential import EffectivePotential
from trajmap.errors import InputError
from trajmap.plots.labels import headline, note_below
from trajmap.plots.scales import drawable, levels_of
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_potential"]


def plot_potential(potential: EffectivePotential, *, ax: "Axes | None" = None) -> "Axes":
    """Draw −log of the density over one or two coordinates, and why it may not be read as a loss.

    Parameters
    ----------
    potential : EffectivePotential
        Over a grid of one or two axes; where no iterate came near it is left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If the grid has more than two axes.
    """
    if potential.grid.ndim > 2:
        raise InputError(worded("potential", "a grid of 1 or 2 axes", f"{potential.grid.ndim}"))
    ax = open_axes(ax)
    known = potential.values[np.isfinite(potential.values)]
    if potential.grid.ndim == 1:
        ax.plot(potential.grid.axes[0], drawable(potential.values), color=COLORS["run"])
        ax.set(xlabel="coordinate 1", ylabel="−log density")
    else:
        if len(known):
            levels, values, _ = levels_of(known, np.ma.masked_invalid(potential.values).T)
            filled = ax.contourf(*potential.grid.axes, values, levels=levels, cmap="viridis")
            bar = ax.figure.colorbar(filled, cax=ax.inset_axes((1.03, 0, 0.035, 1)))
            bar.set_ticks(levels[::6].tolist(), labels=[f"{level:.3g}" for level in levels[::6]])
            bar.set_label("−log density")
        ax.set(xlabel="coordinate 1", ylabel="coordinate 2")
    headline(ax, "Where the run dwells")
    reservations = potential.reservations
    if reservations:
        note_below(ax, "not to be read as a loss:\n" + "\n".join(reservations))
    return ax
