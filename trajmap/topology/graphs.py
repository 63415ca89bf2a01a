"""Which points of a landscape are neighbours."""

import itertools

import numpy as np

from trajmap._validation import Array, check_array, check_count

__all__ = ["delaunay_graph", "gabriel_graph", "grid_graph", "neighbour_graph"]


def grid_graph(shape: tuple[int, ...], *, diagonal: bool = True) -> Array:
    """Edges between neighbouring cells of a grid.

    Parameters
    ----------
    shape : tuple of int
        Shape of the grid.
    diagonal : bool
        Cells that touch at corners are neighbours: 8 in two dimensions, 26 in three; else 4 and 6.

    Returns
    -------
    numpy.ndarray of int, shape (m, 2)
        Places in the raveled grid, the last axis fastest.

    Examples
    --------
    >>> grid_graph((2, 2)).tolist(), len(grid_graph((2, 2), diagonal=False))
    ([[0, 1], [2, 3], [1, 2], [0, 2], [1, 3], [0, 3]], 4)
    """
    places = np.arange(int(np.prod(shape))).reshape(shape)
    edges = []
    for offset in itertools.product((0, 1, -1), repeat=len(shape)):
        nonzero = [o for o in offset if o]
        # one of each pair of opposite offsets
        if not nonzero or nonzero[0] < 0 or (not diagonal and len(nonzero) > 1):
            continue
        here = tuple(slice(max(0, -o), n - max(0, o)) for o, n in zip(offset, shape, strict=True))
        there = tuple(slice(max(0, o), n + min(0, o)) for o, n in zip(offset, shape, strict=True))
        edges.append(np.stack([places[here].ravel(), places[there].ravel()], axis=1))
    edges.sort(key=lambda pairs: int(pairs[0, 1] - pairs[0, 0]))
    return np.concatenate(edges)


def neighbour_graph(points: Array, k: int = 8) -> Array:
    """Edges between each point and its k nearest, both ways.

    Parameters
    ----------
    points : array-like, shape (n, d)
        Coordinates.
    k : int
        Number of neighbours; 8 corresponds to a grid's sides and corners.

    Returns
    -------
    numpy.ndarray of int, shape (m, 2)
        Sorted, each edge once.
    """
    from scipy.spatial import cKDTree

    points = check_array("points", points, (None, None), dtype=np.float64)
    k = min(check_count("k", k), len(points) - 1)
    found = cKDTree(points).query(points, k + 1)[1]
    pairs = np.stack([np.repeat(np.arange(len(points)), k + 1), found.ravel()], axis=1)
    return _unique(pairs[pairs[:, 0] != pairs[:, 1]])


def delaunay_graph(points: Array) -> Array:
    """Edges of the Delaunay triangulation.

    Parameters
    ----------
    points : array-like, shape (n, d)
        Coordinates.

    Returns
    -------
    numpy.ndarray of int, shape (m, 2)
        Sorted, each edge once.
    """
    from scipy.spatial import Delaunay

    simplices = Delaunay(check_array("points", points, (None, None), dtype=np.float64)).simplices
    pairs = [simplices[:, [i, j]] for i, j in itertools.combinations(range(simplices.shape[1]), 2)]
    return _unique(np.concatenate(pairs))


def gabriel_graph(points: Array) -> Array:
    """Delaunay edges whose ball holds no other point.

    Parameters
    ----------
    points : array-like, shape (n, d)
        Coordinates.

    Returns
    -------
    numpy.ndarray of int, shape (m, 2)
        Sorted, each edge once.

    References
    ----------
    K. Gabriel, R. Sokal, A new statistical approach to geographic variation analysis, 1969.
    """
    from scipy.spatial import cKDTree

    points = check_array("points", points, (None, None), dtype=np.float64)
    edges = delaunay_graph(points)
    centres = points[edges].mean(axis=1)
    radii = 0.5 * np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    nearest = cKDTree(points).query(centres, 1)[0]
    # a third point on the boundary of the ball, as for a grid's diagonals, does not remove the edge
    return edges[nearest >= radii * (1 - 1e-9)]


def _unique(pairs: Array) -> Array:
    return np.unique(np.sort(pairs, axis=1), axis=0)
