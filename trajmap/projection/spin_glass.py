"""Protocols borrowed from spin glasses: walks from a solution, permuted copies, overlaps and their tree."""

from collections.abc import Sequence

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.data.permutation_paths import PermutationPaths
from trajmap.data.solution_tree import SolutionTree
from trajmap.data.walk_rise import WalkRise
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.matching import groups_at, permute, require_same_loss
from trajmap.projection.paths import SegmentPath, path_losses
from trajmap.projection.unit_group import UnitGroup

__all__ = ["overlaps", "permutation_paths", "random_walk_rise", "solution_tree"]


def random_walk_rise(
    objective: Objective,
    theta: Array,
    *,
    sigma: float,
    n_steps: int,
    n_walks: int = 10,
    trace: float = float("nan"),
    random_state: int = 0,
) -> WalkRise:
    """Follow the loss along random walks from a solution, in antithetic pairs ±ξ, so that the gradient drops out.

    E[L(θ_t) − L(θ_0)] = ½ σ² t tr H while the walk stays in the quadratic: exact on quadratics. Follows the published
    protocol with reconstructed step sizes.

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
    trace : float
        tr H at the solution, from ``hutchinson``, for the law beside it.
    random_state : int
        Seed.

    Returns
    -------
    WalkRise
        Rises of the pairs, and the law.

    References
    ----------
    C. Liao et al., Exploring loss landscapes through the lens of spin glass theory, 2024.
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
    return WalkRise(np.array(rises), float(sigma), float(trace))


def permutation_paths(
    objective: Objective,
    theta: Array,
    group: UnitGroup,
    counts: Sequence[int] = (2, 4, 8, 16, 32),
    *,
    n: int = 21,
    n_draws: int = 3,
    random_state: int = 0,
) -> PermutationPaths:
    """Interpolate between a solution and copies of which pairs of hidden units are swapped: the same function.

    Swapping pairs is an involution, so the loss along the way is symmetric exactly; how high it climbs says how far
    apart equal networks lie. Follows the published protocol.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The solution.
    group : UnitGroup
        Hidden units, one of ``unit_groups(objective)``.
    counts : sequence of int
        Units that change places, even numbers up to the size of the group.
    n : int
        Positions on each way.
    n_draws : int
        Choices of units for each count.
    random_state : int
        Seed of the first choice.

    Returns
    -------
    PermutationPaths
        Losses and barriers.

    Raises
    ------
    InputError
        If a count is odd, or a copy is not the same function.

    References
    ----------
    C. Liao et al., 2024.
    """
    theta = check_array("theta", theta, (objective.size,), dtype=np.float64)
    t = np.linspace(0, 1, check_count("n", n, low=3))
    fitted = groups_at([group], objective)

    def losses(count: int, seed: int) -> Array:
        if check_count("counts", count, low=2, high=group.size) % 2:
            raise InputError(worded("counts", "even numbers of units, which are swapped in pairs", count))
        chosen = np.random.default_rng(seed).permutation(group.size)[:count].reshape(-1, 2)
        order = np.arange(group.size)
        order[chosen[:, 0]], order[chosen[:, 1]] = chosen[:, 1], chosen[:, 0]
        copy = permute(theta, objective.layout, fitted, [order])
        require_same_loss(objective, theta, copy)
        return path_losses(objective, SegmentPath(theta, copy), t)

    seeds = range(random_state, random_state + check_count("n_draws", n_draws))
    found = [[losses(count, seed) for seed in seeds] for count in counts]
    return PermutationPaths(np.array(counts), t, np.array(found))


def overlaps(thetas: Array) -> Array:
    """Cosines of all pairs of solutions, shape (m, m); match their units first, or equal networks look unrelated."""
    thetas = check_array("thetas", thetas, (None, None), dtype=np.float64)
    unit = thetas / np.linalg.norm(thetas, axis=1, keepdims=True)
    found: Array = unit @ unit.T
    return found


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
        What they are called; numbers by default.
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
    called = list(names) or [str(i + 1) for i in range(len(X))]
    return SolutionTree(links, correlation, np.array(draws), overlaps(X), called)
