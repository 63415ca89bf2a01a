"""Overlaps of solutions, and whether they form a hierarchy."""

from collections.abc import Sequence

import numpy as np

from trajmap._validation import Array, check_array, check_count
from trajmap.data.results.solution_tree import SolutionTree

__all__ = ["overlaps", "solution_tree"]


def overlaps(thetas: Array) -> Array:
    """Cosines of all pairs of solutions, shape (m, m); match their units first."""
    thetas = check_array("thetas", thetas, (None, None), dtype=np.float64)
    unit = thetas / np.linalg.norm(thetas, axis=1, keepdims=True)
    return unit @ unit.T


def solution_tree(
    thetas: Array | Sequence[Array], *, names: Sequence[str] = (), n_draws: int = 20, random_state: int = 0
) -> SolutionTree:
    """Cluster solutions by average linkage of their distances.

    Follows the published protocol; linkage and null are reconstructions.

    Parameters
    ----------
    thetas : array-like, shape (m, P)
        Ends of trainings, units matched; at least three.
    names : sequence of str
        Their names; numbers by default.
    n_draws : int
        Draws of the null.
    random_state : int
        Seed.

    Returns
    -------
    SolutionTree
        A high cophenetic correlation alone is no evidence of a hierarchy: compare it with the null.

    References
    ----------
    C. Liao et al., 2024; R. Sokal, F. Rohlf, The comparison of dendrograms by objective methods, 1962.
    """
    from scipy.cluster.hierarchy import cophenet, linkage
    from scipy.spatial.distance import pdist

    X = check_array("thetas", np.asarray(thetas), (None, None), dtype=np.float64)

    def tree(points: Array) -> tuple[Array, float]:
        distances = pdist(points)
        links = linkage(distances, "average")
        return links, float(cophenet(links, distances)[0])

    rng = np.random.default_rng(random_state)
    norms = np.linalg.norm(X - X.mean(axis=0), axis=1, keepdims=True)
    draws = []
    for _ in range(check_count("n_draws", n_draws)):
        noise = rng.standard_normal(X.shape)
        draws.append(tree(norms * noise / np.linalg.norm(noise, axis=1, keepdims=True))[1])
    links, correlation = tree(X)
    called = list(names) or [str(i + 1) for i in range(len(X))]
    return SolutionTree(links, correlation, np.array(draws), overlaps(X), called)
