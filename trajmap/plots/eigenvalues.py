"""The Hessian's top eigenvalues along the run."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.alignment import Alignment
from trajmap.plots.labels import headline, label_ends
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_eigenvalues"]


def plot_eigenvalues(alignment: Alignment, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the top eigenvalues by step; bars are the residuals of the largest, crosses negative ones by their size.

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
    values, steps = drawable(alignment.eigenvalues), alignment.steps
    sizes = np.abs(values)
    for i, column in enumerate(sizes.T):
        ax.plot(steps, column, color=COLORS["run" if i == 0 else "null"], linewidth=1.8 if i == 0 else 0.9)
    rows, columns = np.nonzero(values < 0)
    if len(rows):
        ax.plot(steps[rows], -values[rows, columns], "x", color=COLORS["lift"], ms=5, label="negative")
        ax.legend()
    ax.errorbar(
        steps, sizes[:, 0], np.nan_to_num(drawable(alignment.residuals)[:, 0]), color=COLORS["run"], lw=0.8, ls=""
    )
    use_log(ax, "y", sizes)
    ax.set(xlabel="optimizer step", ylabel="size of the eigenvalue")
    headline(ax, "Top Hessian eigenvalues along the run")
    k = values.shape[1]
    ends = [("λ₁", steps, sizes[:, 0], COLORS["run"])]
    if k > 1:
        ends.append(("λ₂" if k == 2 else f"λ₂ … λ{_low(k)}", steps, sizes[:, 1], COLORS["null"]))
    label_ends(ax, ends)
    return ax


def _low(k: int) -> str:
    return str(k).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
