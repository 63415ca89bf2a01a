"""A hierarchy of solutions as a dendrogram."""

from typing import TYPE_CHECKING

from trajmap.data.results.solution_tree import SolutionTree
from trajmap.plots.labels import headline
from trajmap.plots.theme import COLORS, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_solution_tree"]


def plot_solution_tree(tree: SolutionTree, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the tree, with its cophenetic correlation and that of isotropic points.

    Parameters
    ----------
    tree : SolutionTree
        The hierarchy.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    from scipy.cluster.hierarchy import dendrogram

    ax = open_axes(ax)
    drawn = dendrogram(tree.linkage, labels=tree.names, no_plot=True)
    for x, y in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        ax.plot(x, y, color=COLORS["run"], lw=1.5)
    places = [5 + 10 * i for i in range(len(tree.names))]
    ax.set_xticks(places, drawn["ivl"], rotation=35, ha="right")
    word, numbers = tree.verdict.split(", ", 1)
    ax.set(xlabel=numbers.replace(" (", "\n("), ylabel="parameter distance", ylim=(0, None))
    headline(ax, f"Ends of {len(tree.names)} trainings: {word}")
    return ax
