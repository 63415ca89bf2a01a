"""Persistence diagrams of landscapes."""

import numpy as np

from trajmap._optional import optional_import
from trajmap._validation import Array, worded
from trajmap.data.results.landscape import Landscape
from trajmap.data.results.persistence_diagram import PersistenceDiagram
from trajmap.errors import InputError
from trajmap.topology.merge_trees import merge_tree

__all__ = ["persistence"]


def persistence(
    landscape: Landscape | Array,
    *,
    degree: int = 0,
    superlevel: bool = False,
    masked: bool = False,
    supported: bool = True,
) -> PersistenceDiagram:
    """Find the pairs of births and deaths of basins, or of rings.

    Degree 0 follows from the merge tree. Degree 1, on grids of two axes, is computed by GUDHI on the cubical complex
    whose cells are the grid's: a ring is born where a valley closes around a hill and dies at the hill's top.

    Parameters
    ----------
    landscape : Landscape or array-like
        The loss over a grid.
    degree : int
        0 or 1.
    superlevel : bool
        Use the negated values.
    masked : bool
        Exclude cells of NaN or inf (degree 0 only).
    supported : bool
        Exclude the cells that the landscape's run does not support. A ring around such cells may not enclose a hill, so
        it is not counted. In a landscape without support, all cells count.

    Returns
    -------
    PersistenceDiagram
        By descending persistence.

    Raises
    ------
    InputError
        If values are not finite, or degree 1 is requested for a grid without two axes.
    MissingExtraError
        If degree 1 is requested and GUDHI is not installed.

    Examples
    --------
    >>> x, y = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-2, 2, 41), indexing="ij")
    >>> bottle = (x**2 + y**2 - 1) ** 2 + 0.3 * x
    >>> ring = persistence(bottle, degree=1).pairs[0]
    >>> [round(float(v), 1) for v in ring]
    [0.3, 1.0]
    """
    if degree == 0:
        tree = merge_tree(landscape, superlevel=superlevel, masked=masked, supported=supported)
        return PersistenceDiagram(np.stack([tree.births, tree.deaths], axis=1), 0)
    values = np.asarray(landscape.values if isinstance(landscape, Landscape) else landscape, dtype=np.float64)
    if degree != 1 or values.ndim != 2:
        raise InputError(worded("degree", "0, or 1 on a grid of two axes", f"{degree} on {values.ndim} axes"))
    support = landscape.support if supported and isinstance(landscape, Landscape) else None
    counted = np.ones(values.shape, dtype=bool) if support is None else support
    if not np.isfinite(values[counted]).all():
        raise InputError(worded("landscape", "finite values for degree 1", "NaN or inf"))
    gudhi = optional_import("gudhi", "topology")
    cells = np.where(counted, -values if superlevel else values, np.inf)
    complex_ = gudhi.CubicalComplex(top_dimensional_cells=cells)
    complex_.compute_persistence()
    pairs = np.asarray(complex_.persistence_intervals_in_dimension(1), dtype=np.float64).reshape(-1, 2)
    return PersistenceDiagram(pairs[np.isfinite(pairs).all(axis=1)], 1)
