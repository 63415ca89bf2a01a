"""Protocols borrowed from spin glasses: walks from a solution, permuted copies, overlaps and their tree."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive
from trajmap.objective.objective import Objective
from trajmap.projection.matching import UnitGroup, permute
from trajmap.projection.paths import SegmentPath, path_losses

__all__ = ["SolutionTree", "overlaps", "permutation_path", "random_walk_rise", "solution_tree"]


def random_walk_rise(
    objective: Objective, theta: Array, *, sigma: float, n_steps: int, n_walks: int = 10, random_state: int = 0
) -> tuple[Array, Array]:
    """Follow the loss along random walks from a solution, in antithetic pairs ±ξ, so that the gradient drops out.

    E[L(θ_t) − L(θ_0)] = ½ σ² t tr H while the walk stays in the quadratic: exact on quadratics.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The solution.
    sigma : float
        Width of a step's Gaussian, in each entry.
    n_steps : int
        Steps.
    n_walks : int
        Pairs of walks.
    random_state : int
        Seed.

    Returns
    -------
    rise : numpy.ndarray, shape (n_steps + 1,)
        Mean rise of the loss after t steps.
    error : numpy.ndarray, shape (n_steps + 1,)
        Its standard error over the pairs.

    References
    ----------
    C. Liao et al., Exploring loss landscapes through the lens of spin glass theory, 2024 (step sizes reconstructed).
    """
    theta = check_array("theta", theta, (objective.size,), dtype=np.float64)
    check_positive("sigma", sigma)
    rng, start = np.random.default_rng(random_state), objective.value(theta)
    rises = []
    for _ in range(check_count("n_walks", n_walks, low=2)):
        move, row = np.zeros(len(theta)), [0.0]
        for _ in range(check_count("n_steps", n_steps)):
            move = move + sigma * rng.standard_normal(len(theta))
            row.append(float(objective.values(np.stack([theta + move, theta - move])).mean()) - start)
        rises.append(row)
    found = np.array(rises)
    return found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(n_walks)


def permutation_path(
    objective: Objective,
    theta: Array,
    group: UnitGroup,
    n_units: int,
    *,
    n: int = 21,
    random_state: int = 0,
) -> tuple[Array, Array, float]:
    """Interpolate between a solution and a copy of which pairs of hidden units are swapped: the same function.

    Swapping pairs is an involution, so the loss along the way is symmetric exactly; how high it climbs says how far
    apart equal networks lie.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The solution.
    group : UnitGroup
        Hidden units, from ``unit_groups``.
    n_units : int
        Units that change places, an even number.
    n : int
        Positions on the way.
    random_state : int
        Seed of the choice.

    Returns
    -------
    t, losses : numpy.ndarray, shape (n,)
        Positions and losses.
    barrier : float
        Highest loss above the ends'.

    References
    ----------
    C. Liao et al., 2024.
    """
    theta = check_array("theta", theta, (objective.size,), dtype=np.float64)
    count = check_count("n_units", n_units, low=2, high=group.size) // 2 * 2
    chosen = np.random.default_rng(random_state).permutation(group.size)[:count].reshape(-1, 2)
    order = np.arange(group.size)
    order[chosen[:, 0]], order[chosen[:, 1]] = chosen[:, 1], chosen[:, 0]
    copy = permute(theta, objective.layout, [group], [order])
    t = np.linspace(0, 1, check_count("n", n, low=3))
    losses = path_losses(objective, SegmentPath(theta, copy), t)
    return t, losses, float(losses.max() - 0.5 * (losses[0] + losses[-1]))


def overlaps(thetas: Array) -> Array:
    """Cosines of all pairs of solutions, shape (m, m); match their units first, or equal networks look unrelated."""
    thetas = check_array("thetas", thetas, (None, None), dtype=np.float64)
    unit = thetas / np.linalg.norm(thetas, axis=1, keepdims=True)
    found: Array = unit @ unit.T
    return found


@dataclasses.dataclass(frozen=True)
class SolutionTree:
    """Hierarchical clustering of solutions, and whether a tree describes them.

    Parameters
    ----------
    linkage : numpy.ndarray, shape (m - 1, 4)
        As SciPy's: draw it by ``scipy.cluster.hierarchy.dendrogram``.
    cophenetic : float
        Correlation of the tree's distances with the true ones: 1 for an ultrametric set.
    null : numpy.ndarray, shape (n_draws,)
        The same for isotropic points with the solutions' norms, about their mean.
    """

    linkage: Array
    cophenetic: float
    null: Array

    def labels(self, n_clusters: int) -> Array:
        """Cut the tree into some clusters; labels from 0, shape (m,)."""
        from scipy.cluster.hierarchy import fcluster

        found: Array = fcluster(self.linkage, n_clusters, criterion="maxclust") - 1
        return found


def solution_tree(thetas: Array | Sequence[Array], *, n_draws: int = 20, random_state: int = 0) -> SolutionTree:
    """Cluster solutions by average linkage of their distances.

    Parameters
    ----------
    thetas : array-like, shape (m, P)
        Ends of trainings, units matched; at least three.
    n_draws : int
        Draws of the null.
    random_state : int
        Seed.

    Returns
    -------
    SolutionTree
        A high cophenetic correlation alone is no hierarchy: compare with the null.

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
    return SolutionTree(links, correlation, np.array(draws))
