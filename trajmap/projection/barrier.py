"""Are two points in one basin? Barriers along the segment, after matching units, and along a trained curve."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.barriers import Barriers
from trajmap.data.connection import Connection
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.predictions import function_distance
from trajmap.projection.asymmetry import sign_consistency
from trajmap.projection.matching import groups_at, match_weights, require_same_loss
from trajmap.projection.paths import BezierPath, SegmentPath, climb, path_length, path_losses, train_path
from trajmap.projection.unit_group import UnitGroup

__all__ = ["barrier", "barrier_matrix"]


def barrier(
    objective: Objective,
    a: Array,
    b: Array,
    *,
    groups: Sequence[UnitGroup] = (),
    sisters: Sequence[tuple[Array, Array]] = (),
    n: int = 25,
    n_steps: int = 200,
    probes: Any = None,
    name: str = "",
) -> Connection:
    """Measure the barrier between two points, max_t L((1 − t) a + t b) − ½ (L(a) + L(b)), and look for ways around.

    Parameters
    ----------
    objective : Objective
        The loss.
    a, b : array-like, shape (P,)
        The points, as the last iterates of two runs.
    groups : sequence of UnitGroup
        Hidden units that may be matched, from ``unit_groups(objective)``; none by default.
    sisters : sequence of pairs of array-like
        Pairs of points known to share a basin, as ends of sister runs: what their segments climb is the noise band.
    n : int
        Positions on each path.
    n_steps : int
        Training of the curve; 0 leaves it out. It is also left out where the segment does not climb.
    probes : torch.Tensor, optional
        Inputs of a classifier, on which the two points and the sisters are compared as functions.
    name : str
        What is connected, for titles.

    Returns
    -------
    Connection
        Losses along the ways, and a verdict in words.

    Raises
    ------
    InputError
        If the matched network is not the same function: the groups are wrong.

    References
    ----------
    T. Garipov et al., 2018 (curves); J. Frankle et al., Linear mode connectivity and the lottery ticket hypothesis,
    2020; S. Ainsworth et al., Git Re-Basin, 2023.
    """
    check_count("n_steps", n_steps, low=0)
    t = np.linspace(0, 1, check_count("n", n, low=3))
    losses, lengths = np.full((3, n), np.nan), np.full(3, np.nan)

    def take(place: int, path: SegmentPath) -> float:
        losses[place], lengths[place] = path_losses(objective, path, t), path_length(path)
        return climb(t, losses[place])

    least = take(0, SegmentPath(a, b))
    bands = [climb(t, path_losses(objective, SegmentPath(x, y), t)) for x, y in sisters]
    noise = max(bands) if bands else float("nan")
    end = np.asarray(b, dtype=np.float64)
    if groups:
        end = _matched(objective, a, b, groups)
        least = min(least, take(1, SegmentPath(a, end)))
    if n_steps and least > max(0.0 if np.isnan(noise) else noise, 1e-3 * abs(losses[0, 0])):
        take(2, train_path(objective, BezierPath(a, end), n_steps=n_steps))
    apart = [] if probes is None else [function_distance(objective, x, y, probes) for x, y in ((a, b), *sisters)]
    known = [apart[0] if apart else float("nan"), max(apart[1:], default=float("nan"))]
    known += [sign_consistency(a, b), sign_consistency(a, end) if groups else float("nan")]
    return Connection(t, losses, lengths, noise, name, *known)


def barrier_matrix(
    objective: Objective,
    points: Array,
    *,
    names: Sequence[str] = (),
    groups: Sequence[UnitGroup] = (),
    noise: float = float("nan"),
    n: int = 15,
    progress: Callable[[int, int], None] | None = None,
) -> Barriers:
    """Barriers between all pairs of points, along segments, after matching where groups are given.

    Parameters
    ----------
    objective : Objective
        The loss.
    points : array-like, shape (m, P)
        The points.
    names : sequence of str
        Their names; numbers by default.
    groups : sequence of UnitGroup
        Hidden units to match.
    noise : float
        Highest barrier between runs known to share a basin.
    n : int
        Positions on each segment.
    progress : callable, optional
        Called with the pairs done and their number.

    Returns
    -------
    Barriers
        The table, to be drawn by ``plot_barriers``.

    Raises
    ------
    InputError
        If there are fewer than two points, or a matched network is not the same function.
    """
    points = check_array("points", points, (None, objective.size), dtype=np.float64)
    m, t = len(points), np.linspace(0, 1, check_count("n", n, low=3))
    if m < 2:
        raise InputError(worded("points", "at least 2", f"{m}"))
    found, done = np.zeros((m, m)), 0
    for i in range(m):
        for j in range(i):
            end = points[j]
            if groups:
                end = _matched(objective, points[i], end, groups)
            losses = path_losses(objective, SegmentPath(points[i], end), t)
            found[i, j] = found[j, i] = losses.max() - 0.5 * (losses[0] + losses[-1])
            done += 1
            if progress is not None:
                progress(done, m * (m - 1) // 2)
    return Barriers(list(names) or [str(i + 1) for i in range(m)], found, matched=bool(groups), noise=noise)


def _matched(objective: Objective, a: Array, b: Array, groups: Sequence[UnitGroup]) -> Array:
    """Bring b near a by permuting units, and hold it against b before anyone sees it."""
    end, _ = match_weights(a, b, objective.layout, groups_at(groups, objective))
    require_same_loss(objective, np.asarray(b, dtype=np.float64), end)
    return end
