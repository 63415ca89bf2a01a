"""The score table as a figure."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.score_table import ScoreTable
from trajmap.plots.labels import chart_words, headline
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_scores"]


def plot_scores(table: ScoreTable, *, ax: "Axes | None" = None) -> "Axes":
    """Draw each score with the range of its null below it; a cell is filled where it beats every walk.

    Parameters
    ----------
    table : ScoreTable
        Scores and their null.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    from matplotlib.patches import Rectangle

    ax = open_axes(ax)
    n, m = table.values.shape
    shades = {1.0: COLORS["second"] + "55", 0.0: COLORS["null"] + "33", -1.0: COLORS["null"] + "99"}
    for i in range(n):
        for j in range(m):
            draws = table.null[i, j][np.isfinite(table.null[i, j])]
            verdict = table.verdicts[i, j]
            colour = shades.get(verdict, "none")
            ax.add_patch(Rectangle((j, i), 1, 1, facecolor=colour, edgecolor=COLORS["null"], linewidth=0.8))
            mark = {1.0: " ✓", -1.0: " ✗"}.get(verdict, "")
            ax.text(
                j + 0.5,
                i + 0.35,
                _short(table.values[i, j], 4) + mark,
                ha="center",
                va="center",
                fontweight="bold",
                fontsize="small",
            )
            null = f"{_short(draws.min())} … {_short(draws.max())}" if len(draws) else "no null"
            ax.text(j + 0.5, i + 0.72, null, ha="center", va="center", fontsize="x-small")
    ax.set(xlim=(0, m), ylim=(n, 0), xticks=np.arange(m) + 0.5, yticks=np.arange(n) + 0.5)
    signs = ["↑" if better else "↓" for better in table.higher_is_better]
    ax.set_xticklabels([f"{name.replace(' ', chr(10), 1)} {s}" for name, s in zip(table.scores, signs, strict=True)])
    ax.set_yticklabels([chart_words(name).removeprefix("an ").removeprefix("a ") for name in table.reductions])
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    headline(
        ax, "Scores and their range over random walks; ✓ green: better than every walk, ✗ dark: worse than every one"
    )
    return ax


def _short(value: float, digits: int = 3) -> str:
    """Few digits, and no more of what is rounding."""
    return "0" if abs(value) < 1e-12 else f"{value:.{digits}g}"
