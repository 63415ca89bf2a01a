"""Distances between persistence diagrams."""

from trajmap._optional import optional_import
from trajmap.data.results.persistence_diagram import PersistenceDiagram

__all__ = ["bottleneck_distance", "wasserstein_distance"]


def bottleneck_distance(a: PersistenceDiagram, b: PersistenceDiagram) -> float:
    """Compute the bottleneck distance, the largest move of a point in the best matching of two diagrams, by GUDHI.

    Parameters
    ----------
    a, b : PersistenceDiagram
        Diagrams of one degree.

    Returns
    -------
    float
        ≥ 0; at most the largest difference of the two landscapes (stability).

    References
    ----------
    D. Cohen-Steiner, H. Edelsbrunner, J. Harer, Stability of persistence diagrams, 2007.
    """
    return float(optional_import("gudhi", "topology").bottleneck_distance(a.pairs, b.pairs))


def wasserstein_distance(a: PersistenceDiagram, b: PersistenceDiagram, *, order: float = 1.0) -> float:
    """Compute the Wasserstein distance: q-th root of the sum of the moves' q-th powers in the best matching, by GUDHI.

    Parameters
    ----------
    a, b : PersistenceDiagram
        Diagrams of one degree; essential pairs are matched with essential ones.
    order : float
        q.

    Returns
    -------
    float
        ≥ 0, and at least the bottleneck distance.
    """
    hera = optional_import("gudhi.hera", "topology")
    return float(hera.wasserstein_distance(a.pairs, b.pairs, order=order, internal_p=float("inf")))
