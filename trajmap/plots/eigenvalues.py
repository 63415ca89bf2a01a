"""The Hessian's top eigenvalues along the run."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.alignment import Alignment
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_eigenvalues"]


def plot_eigenvalues(alignment: Alignment, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the top eigenvalues by step; negative ones as crosses of their magnitude.

    Parameters
    ----------
    alignment : Alignment
        Eigenvalues along the run.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    values, steps = alignment.eigenvalues, alignment.steps
    rest = f"λ₂ to λ{values.shape[1]}"
    for i, column in enumerate(values.T):
        colour = COLORS["run"] if i == 0 else COLORS["null"]
        label = "λ₁" if i == 0 else rest if i == 1 else None
        ax.plot(steps, np.abs(column), color=colour, linewidth=1.8 if i == 0 else 0.9, label=label)
    rows, columns = np.nonzero(values < 0)
    if len(rows):
        ax.plot(steps[rows], -values[rows, columns], "x", color=COLORS["lift"], label="negative: |λ|")
    low, high = (values - alignment.residuals)[:, 0], (values + alignment.residuals)[:, 0]
    ax.fill_between(steps, np.abs(low), np.abs(high), color=COLORS["run"], alpha=0.2, linewidth=0)
    if np.nanmax(np.abs(values), initial=0) > 0:
        ax.set_yscale("log")
    ax.set(xlabel="optimizer step", ylabel="Hessian eigenvalue (log scale)")
    ax.set_title("Top eigenvalues along the run")
    ax.legend()
    return ax
