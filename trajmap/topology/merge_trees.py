"""Merge trees of landscapes."""

import numpy as np
from scipy import ndimage

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.elder_rule import Merging, merge_minima
from trajmap.data.results.basin_profile import BasinProfile
from trajmap.data.results.landscape import Landscape
from trajmap.data.results.merge_tree import MergeTree
from trajmap.errors import InputError
from trajmap.topology.graphs import grid_graph

__all__ = ["basin_profile", "merge_tree"]


def merge_tree(
    landscape: Landscape | Array,
    *,
    graph: Array | None = None,
    superlevel: bool = False,
    masked: bool = False,
    supported: bool = True,
) -> MergeTree:
    """Find the minima of a landscape, and the saddles at which their basins merge as the level rises.

    Values are visited from low to high, equal ones in the order of their places. When two basins meet, the one with the
    higher minimum ends (elder rule). A vertex where several basins meet is one saddle. Minima on the grid's boundary or
    next to unsupported cells count and are flagged, because the loss outside is unknown.

    Parameters
    ----------
    landscape : Landscape or array-like
        The loss over a grid of any number of axes, or values of any shape.
    graph : array-like of int, shape (m, 2), optional
        Pairs of neighbours, as places in the raveled values; by default those of the grid with its diagonals.
    superlevel : bool
        Peaks instead of basins: the tree of the negated values.
    masked : bool
        Exclude cells of NaN or inf as holes; otherwise they raise an error.
    supported : bool
        Exclude the cells that the landscape's run does not support, because there only the chart determines the points.
        In a landscape without support, all cells count.

    Returns
    -------
    MergeTree
        Pairs by descending persistence.

    Raises
    ------
    InputError
        If values are NaN or inf and `masked` is not set, or edges refer to missing vertices.

    References
    ----------
    T. Xie et al., Evaluating loss landscapes from a topology perspective, 2024 (the published method; its trees are by
    the topology toolkit).

    Examples
    --------
    >>> x, y = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-1, 1, 21), indexing="ij")
    >>> tree = merge_tree((x**2 - 1) ** 2 + y**2)
    >>> tree.n_minima, tree.n_saddles, tree.persistence.tolist()
    (2, 1, [1.0])
    """
    array = np.asarray(landscape.values if isinstance(landscape, Landscape) else landscape, dtype=np.float64)
    values = -array.ravel() if superlevel else array.ravel()
    support = landscape.support if supported and isinstance(landscape, Landscape) else None
    counted = np.ones(len(values), dtype=bool) if support is None else support.ravel()
    inside = counted & np.isfinite(values)
    if not masked and (inside != counted).any():
        got = f"{int((inside != counted).sum())} cells of NaN or inf"
        raise InputError(worded("landscape", "finite values", got, "pass masked=True to exclude them"))
    if not inside.any():
        got, repair = ("none", "") if support is None else ("none on supported cells", "pass supported=False")
        raise InputError(worded("landscape", "at least one finite value", got, repair))
    edges = grid_graph(array.shape) if graph is None else check_array("graph", graph, (None, 2), dtype=np.int64)
    if len(edges) and (edges.min() < 0 or edges.max() >= len(values)):
        raise InputError(worded("graph", f"vertices in [0, {len(values) - 1}]", f"{edges.min()} to {edges.max()}"))
    edge_places = np.zeros(len(values), dtype=bool)
    if graph is None:
        edge_places = _boundary(array.shape)
        if support is not None:  # beyond an unsupported neighbour the loss may fall further
            edge_places |= ndimage.binary_dilation(~support, np.ones((3,) * array.ndim)).ravel()
    found, top = merge_minima(values, edges, inside), float(values[inside].max())
    return _tree(values, found, edge_places, top, supported=support is not None)


def _tree(values: Array, found: Merging, boundary: Array, top: float, *, supported: bool) -> MergeTree:
    minima = np.array(found.minima)
    saddles = np.array([found.deaths.get(m, (-1, -1))[0] for m in found.minima])
    births = values[minima]
    deaths = np.where(saddles >= 0, values[saddles], np.inf)
    order = np.lexsort((births, -(deaths - births)))
    row = {int(minima[i]): place for place, i in enumerate(order)}
    row[-1] = -1
    parents = np.array([row[found.deaths.get(int(minima[i]), (-1, -1))[1]] for i in order])
    basins = np.array([row[int(b)] for b in found.basins])
    return MergeTree(
        minima[order], saddles[order], births[order], deaths[order], parents, basins, boundary[minima[order]],
        top, supported,
    )  # fmt: skip


def _boundary(shape: tuple[int, ...]) -> Array:
    inner = np.zeros(shape, dtype=bool)
    inner[tuple(slice(1, -1) for _ in shape)] = True
    return ~inner.ravel()


def basin_profile(landscape: Landscape | Array, tree: MergeTree, *, levels: int = 40) -> BasinProfile:
    """Compute the width of each basin by level, for a topological landscape profile.

    Follows the published drawing: a basin's width is its number of grid points.

    Parameters
    ----------
    landscape : Landscape or array-like
        The source of the tree; negated for a superlevel tree.
    tree : MergeTree
        Its tree.
    levels : int
        Levels per basin.

    Returns
    -------
    BasinProfile
        To be drawn by ``plot_basins``.

    References
    ----------
    C. Geniesse et al., Visualizing loss functions as topological landscape profiles, 2024.
    """
    values = np.asarray(landscape.values if isinstance(landscape, Landscape) else landscape, dtype=float).ravel()
    levels = check_count("levels", levels, low=2)
    heights, widths = [], []
    for i, (birth, death) in enumerate(zip(tree.births, tree.deaths, strict=True)):
        inside = np.sort(values[tree.basins == i])
        heights.append(np.linspace(birth, death if np.isfinite(death) else tree.top, levels))
        widths.append(np.searchsorted(inside, heights[-1], side="right").astype(float))
    return BasinProfile(np.array(heights), np.array(widths))
