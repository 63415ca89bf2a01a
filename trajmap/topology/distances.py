"""How far two persistence diagrams are apart."""

from trajmap._optional import optional_import
from trajmap.data.results.persistence_diagram import PersistenceDiagram

__all__ = ["bottleneck_distance", "wasserstein_distance"]


def bottleneck_distance(a: PersistenceDiagram, b: PersistenceDiagram) -> float:
    """Compute the largest move of a point in the best matching of two diagrams, by GUDHI.

    Parameters
    ----------
    a, b : PersistenceDiagram
        Of one degree.

    Returns
    -------
    float
        At most the largest difference of the two landscapes (stability).

    References
    ----------
    D. Cohen-Steiner, H. Edelsbrunner, J. Harer, Stability of persistence diagrams, 2007.
    """
    return float(optional_import("gudhi", "topology").bottleneck_distance(a.pairs, b.pairs))


def wasserstein_distance(a: PersistenceDiagram, b: PersistenceDiagram, *, order: float = 1.0) -> float:
    """Compute the q-th root of the summed q-th powers of moves in the best matching, by GUDHI (Hera).

    Parameters
    ----------
    a, b : PersistenceDiagram
        Of one degree; essential pairs are matched with essential ones.
    order : float
        q.

    Returns
    -------
    float
        Never below the bottleneck distance.
    """
    hera = optional_import("gudhi.hera", "topology")
    return float(hera.wasserstein_distance(a.pairs, b.pairs, order=order, internal_p=float("inf")))
