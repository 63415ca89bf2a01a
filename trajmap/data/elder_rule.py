"""Minima of a function on a graph, and where each ends as the level rises: union and find by the elder rule."""

import dataclasses

import numpy as np

from trajmap._validation import Array

__all__ = ["Merging", "merge_minima"]


@dataclasses.dataclass(frozen=True)
class Merging:
    """What happens to the minima as the level rises.

    Parameters
    ----------
    minima : list of int
        Vertices, in the order of their values.
    deaths : dict of int to (int, int)
        By minimum the saddle where it ends, and the minimum that it is merged into; the lowest of each component is
        not among them.
    basins : numpy.ndarray of int, shape (n,)
        The minimum that each vertex belongs to; −1 for those outside.
    """

    minima: list[int]
    deaths: dict[int, tuple[int, int]]
    basins: Array


def merge_minima(values: Array, edges: Array, inside: Array | None = None) -> Merging:
    """Find the minima and where they end; where basins meet, the higher minima end and the lowest continues.

    Equal values come in the order of their vertices.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        The function.
    edges : numpy.ndarray of int, shape (m, 2)
        Neighbours.
    inside : numpy.ndarray of bool, shape (n,), optional
        Vertices that count; all by default.

    Returns
    -------
    Merging
        Minima, ends and basins.

    Examples
    --------
    >>> line = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    >>> merge_minima(np.array([1.0, 5, 0, 7, 2]), line).deaths
    {0: (1, 2), 4: (3, 2)}
    """
    n = len(values)
    inside = np.ones(n, dtype=bool) if inside is None else inside
    starts, others = _neighbours(edges[inside[edges].all(axis=1)], n)
    order = np.argsort(np.where(inside, values, np.inf), kind="stable")[: int(inside.sum())]
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(len(order))
    root = [-1] * n  # −1: not yet under water
    found = Merging([], {}, np.full(n, -1))
    for v in order.tolist():
        roots: list[int] = []
        for u in others[starts[v] : starts[v + 1]]:
            if root[u] >= 0:
                r = u
                while root[r] != r:
                    root[r] = root[root[r]]
                    r = root[r]
                if r not in roots:
                    roots.append(r)
        if not roots:
            root[v] = v
            found.minima.append(v)
            found.basins[v] = v
            continue
        # a root is its component's lowest minimum
        elder = min(roots, key=rank.__getitem__)
        root[v] = elder
        found.basins[v] = elder
        for r in roots:
            if r != elder:
                root[r] = elder
                found.deaths[r] = (v, elder)
    return found


def _neighbours(edges: Array, n: int) -> tuple[list[int], list[int]]:
    """List the neighbours of each vertex, one list after the other, and where each begins."""
    both = np.concatenate([edges, edges[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    return np.searchsorted(both[:, 0], np.arange(n + 1)).tolist(), both[:, 1].tolist()
