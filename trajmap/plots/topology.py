"""Basins and saddles of a landscape."""

from typing import TYPE_CHECKING

import numpy as np

from trajmap.data.results.basin_profile import BasinProfile
from trajmap.data.results.merge_tree import MergeTree
from trajmap.data.results.persistence_diagram import PersistenceDiagram
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
    deaths = np.where(np.isfinite(tree.deaths), tree.deaths, tree.top)
    for i in range(shown):
        edge = tree.boundary[i]
        ax.plot([i, i], [tree.births[i], deaths[i]], color=COLORS["null" if edge else "run"], lw=2.2)
        ax.plot([i], [tree.births[i]], "v", color=COLORS["null" if edge else "run"], ms=7)
        if tree.parents[i] >= 0:
            ax.plot([min(tree.parents[i], shown - 1), i], [deaths[i]] * 2, color=COLORS["run"], lw=0.9, alpha=0.7)
    if (tree.births[:shown] > 0).all() and deaths[:shown].max() > 20 * tree.births[:shown].min():
        ax.set_yscale("log")
    ax.set(xlabel="basins by persistence (grey: on the boundary)", ylabel="loss", xticks=[])
    ax.margins(x=0.08)
    more = f", {tree.n_minima - shown} more" if tree.n_minima > shown else ""
    average = tree.average_persistence()
    ax.set_title(f"{tree.n_minima} minima, {tree.n_saddles} saddles{more}; average persistence {average:.3g}")
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
        widths, heights = profile.widths[i], profile.heights[i]
        middle = left + widths[-1] / 2
        ax.fill_betweenx(
            heights, middle - widths / 2, middle + widths / 2, color=COLORS["run"], alpha=0.35, linewidth=0
        )
        ax.plot(middle - widths / 2, heights, color=COLORS["run"], lw=1.2)
        ax.plot(middle + widths / 2, heights, color=COLORS["run"], lw=1.2)
        left += widths[-1] * 1.08
    ax.set(xlabel="grid points in each basin", ylabel="loss")
    more = f" ({len(profile.heights) - len(chosen)} more)" if len(profile.heights) > len(chosen) else ""
    ax.set_title(f"Profile of {len(chosen)} basin{'s' if len(chosen) > 1 else ''}{more}")
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
    known = diagram.pairs[np.isfinite(diagram.pairs)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    ax.plot([low, high], [low, high], color=COLORS["null"], lw=0.8)
    ax.plot(finite[:, 0], finite[:, 1], "o", color=COLORS["run"], ms=5, alpha=0.8)
    essential = diagram.pairs[~np.isfinite(diagram.pairs[:, 1]), 0]
    ax.plot(essential, np.full(len(essential), high), "^", color=COLORS["lift"], ms=7)
    ax.set(xlabel="birth", ylabel="death")
    ax.set_title(f"{len(diagram.pairs)} {'basins' if diagram.degree == 0 else 'rings'}")
    return ax
