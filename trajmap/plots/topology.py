"""Basins and saddles of a landscape."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.basin_profile import BasinProfile
from trajmap.data.results.merge_tree import MergeTree
from trajmap.data.results.persistence_diagram import PersistenceDiagram
from trajmap.plots.labels import headline
from trajmap.plots.scales import drawable, use_log
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_basins", "plot_merge_tree", "plot_persistence"]


def plot_merge_tree(tree: MergeTree, *, ax: "Axes | None" = None) -> "Axes":
    """Draw each basin as a line from its minimum up to the saddle where it ends, and across to the basin it joins.

    Parameters
    ----------
    tree : MergeTree
        The tree; at most its thirty most persistent basins are drawn.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    shown = min(tree.n_minima, 30)
    births, deaths = drawable(tree.births), drawable(np.where(np.isfinite(tree.deaths), tree.deaths, tree.top))
    if shown == 1:
        return _say_one(tree, ax)
    for i in range(shown):
        edge = tree.boundary[i]
        ax.plot([i, i], [births[i], deaths[i]], color=COLORS["null" if edge else "run"], lw=2.2)
        ax.plot([i], [births[i]], "v", color=COLORS["null" if edge else "run"], ms=7)
        if tree.parents[i] >= 0:
            ax.plot([min(tree.parents[i], shown - 1), i], [deaths[i]] * 2, color=COLORS["run"], lw=0.9, alpha=0.7)
    use_log(ax, "y", births[:shown], deaths[:shown])
    ax.set(xlabel="basins by persistence (grey: on the boundary)", ylabel="loss", xticks=[])
    ax.margins(x=0.08)
    more = f" ({tree.n_minima - shown} not drawn)" if tree.n_minima > shown else ""
    saddles = f"{tree.n_saddles} saddle{'' if tree.n_saddles == 1 else 's'}"
    headline(ax, f"{tree.n_minima} minima{more}, {saddles}, average persistence {tree.average_persistence():.3g}")
    return ax


def _say_one(tree: MergeTree, ax: "Axes") -> "Axes":
    """One basin makes no tree: write that."""
    where = ", on the boundary" if tree.boundary[0] else ""
    words = f"One basin, from a loss of {tree.births[0]:.3g}{where},\nup to {tree.top:.3g}: there is nothing to merge."
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center")
    ax.set_axis_off()
    headline(ax, "1 minimum, 0 saddles")
    return ax


def plot_basins(profile: BasinProfile, *, ax: "Axes | None" = None) -> "Axes":
    """Draw a topological landscape profile: each basin as a well as wide as its number of points, side by side.

    Parameters
    ----------
    profile : BasinProfile
        Widths by level; at most the twelve widest basins are drawn, the widest first.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    chosen = np.argsort(-profile.widths[:, -1], kind="stable")[:12]
    left = 0.0
    for i in chosen:
        widths, heights = profile.widths[i], drawable(profile.heights[i])
        middle = left + widths[-1] / 2
        ax.fill_betweenx(
            heights, middle - widths / 2, middle + widths / 2, color=COLORS["run"], alpha=0.35, linewidth=0
        )
        ax.plot(middle - widths / 2, heights, color=COLORS["run"], lw=1.2)
        ax.plot(middle + widths / 2, heights, color=COLORS["run"], lw=1.2)
        if widths[-1] <= 1 or heights[0] == heights[-1]:  # a point, of which an outline shows nothing
            ax.plot(middle, heights[0], "v", color=COLORS["run"], ms=7)
        left += widths[-1] * 1.08
    use_log(ax, "y", profile.heights[chosen])
    ax.set(xlabel="grid points in each basin", ylabel="loss")
    more = f" ({len(profile.heights) - len(chosen)} more)" if len(profile.heights) > len(chosen) else ""
    headline(ax, f"Profile of {len(chosen)} basin{'s' if len(chosen) > 1 else ''}{more}")
    return ax


def plot_persistence(diagram: PersistenceDiagram, *, ax: "Axes | None" = None) -> "Axes":
    """Draw births against deaths; what lies near the diagonal is noise, triangles never die.

    Parameters
    ----------
    diagram : PersistenceDiagram
        Pairs of one degree.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = open_axes(ax)
    finite = diagram.finite
    known = drawable(diagram.pairs[np.isfinite(diagram.pairs)])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    ax.plot([low, high], [low, high], color=COLORS["null"], lw=0.8)
    ax.plot(*drawable(finite).T, "o", color=COLORS["run"], ms=5, alpha=0.8)
    essential = diagram.pairs[~np.isfinite(diagram.pairs[:, 1]), 0]
    ax.plot(drawable(essential), np.full(len(essential), high), "^", color=COLORS["lift"], ms=7)
    if use_log(ax, "x", known):
        use_log(ax, "y", known)
    ax.set(xlabel="loss at the birth", ylabel="loss at the death")
    n, word = len(diagram.pairs), "basin" if diagram.degree == 0 else "ring"
    headline(ax, f"{n} {word}{'' if n == 1 else 's'}{' (triangles never die)' if len(essential) else ''}")
    return ax
