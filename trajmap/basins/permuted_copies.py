"""The loss between a solution and copies of it with permuted units."""

from collections.abc import Sequence

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.basins.matching import groups_at, permute, require_same_loss
from trajmap.basins.paths import SegmentPath, path_losses
from trajmap.basins.unit_group import UnitGroup
from trajmap.data.progress import Progress, counted
from trajmap.data.results.permutation_paths import PermutationPaths
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["permutation_paths"]


def permutation_paths(
    objective: Objective,
    theta: Array,
    group: UnitGroup,
    counts: Sequence[int] = (2, 4, 8, 16, 32),
    *,
    n_points: int = 21,
    n_draws: int = 3,
    random_state: int = 0,
    progress: Progress | None = None,
) -> PermutationPaths:
    """Interpolate between a solution and copies with swapped pairs of hidden units, which are the same function.

    Swapping pairs is an involution, so the loss along the path is exactly symmetric. Its barrier shows how far apart
    equal networks are. Follows the published protocol.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The solution.
    group : UnitGroup
        Hidden units, one of ``unit_groups(objective)``.
    counts : sequence of int
        Numbers of swapped units, even and at most the size of the group.
    n_points : int
        Positions on each path.
    n_draws : int
        Choices of units for each count.
    random_state : int
        Seed of the first choice.
    progress : callable, optional
        Called with the ways done and their number.

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
    t = np.linspace(0, 1, check_count("n_points", n_points, low=3))
    fitted = groups_at(objective, [group])

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
    drawn = counted([(count, seed) for count in counts for seed in seeds], progress)
    found = np.array([losses(count, seed) for count, seed in drawn]).reshape(len(counts), len(seeds), len(t))
    return PermutationPaths(np.array(counts), t, found)
