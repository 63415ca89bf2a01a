"""Are two points in one basin? Barriers along the segment, after matching units, and along a trained curve."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.basins.asymmetry import sign_consistency
from trajmap.basins.batch_errors import batch_error
from trajmap.basins.matching import groups_at, match_weights, require_same_loss
from trajmap.basins.paths import BezierPath, ParameterPath, SegmentPath, climb, path_length, path_losses, train_path
from trajmap.basins.unit_group import UnitGroup
from trajmap.data.results.barriers import Barriers
from trajmap.data.results.connection import WAYS, Connection
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.predictions import function_distance

__all__ = ["barrier", "barrier_matrix"]

Pair = tuple[Array, Array] | tuple[Array, Array, Objective]


def barrier(
    objective: Objective,
    a: Array,
    b: Array,
    *,
    at_b: Objective | None = None,
    groups: Sequence[UnitGroup] | None = None,
    sisters: Sequence[Pair] = (),
    n_points: int = 25,
    n_steps: int = 200,
    probes: Any = None,
    name: str = "",
) -> Connection:
    """Measure the barrier between two points, max_t L((1 − t) a + t b) − ½ (L(a) + L(b)), and look for ways around.

    Parameters
    ----------
    objective : Objective
        The loss; with ``objective.for_run(run)`` the first half of each way has the statistics of BatchNorm that the
        run of `a` recorded, at `a` its very own and away from it estimated from the data.
    a, b : array-like, shape (P,)
        The points, as the last iterates of two runs.
    at_b : Objective, optional
        The loss with the statistics of b's run, for the second half of each way; the same by default.
    groups : sequence of UnitGroup, optional
        Hidden units that may be matched, from ``unit_groups(objective)``; an empty one says that there are none.
        Nothing is matched by default, and two basins are then never found.
    sisters : sequence of pairs of array-like
        Pairs of points known to share a basin, as ends of sister runs: what their segments climb is the noise. The
        loss with the statistics of the second one's run may be a third element.
    n_points : int
        Positions on each path.
    n_steps : int
        Training of the curve; 0 leaves it out. It is also left out where a straight line is level.
    probes : torch.Tensor, optional
        Inputs of a classifier, on which the two points and the sisters are compared as functions.
    name : str
        What is connected, for titles.

    Returns
    -------
    Connection
        Losses along the ways, with errors over the data's batches; whether it is one basin or two, and why that is not
        known where it is not.

    Raises
    ------
    InputError
        If two points are one, or the matched network is not the same function: the groups are wrong.

    References
    ----------
    T. Garipov et al., 2018 (curves); J. Frankle et al., Linear mode connectivity and the lottery ticket hypothesis,
    2020; S. Ainsworth et al., Git Re-Basin, 2023.
    """
    check_count("n_steps", n_steps, low=0)
    t = np.linspace(0, 1, check_count("n_points", n_points, low=3))
    _require_two("b", a, b)
    ends, climbs = [objective, at_b or objective], []
    for x, y, *at in sisters:
        _require_two("sisters", x, y)
        if all(any(np.array_equal(point, end) for end in (a, b)) for point in (x, y)):
            raise InputError(worded("sisters", "another pair than the two points", "these", "leave it out"))
        climbs.append(climb(t, _along([objective, *(at or ends[:1])], SegmentPath(x, y), t)[0]))
    known: dict[str, Any] = {"noise": max(climbs, default=float("nan")), "n_sisters": len(climbs), "name": name}
    known["matching"] = "not tried" if groups is None else "tried" if groups else "nothing to match"
    end = _matched(objective, a, b, groups) if groups else np.asarray(b, dtype=np.float64)
    found = Connection(t, *_none(n_points), **known)
    found = _with(found, 0, SegmentPath(a, b), ends)
    if groups:
        found = _with(found, 1, SegmentPath(a, end), ends)
    if n_steps and found.climb(found.way or WAYS[0]) > found.limit(found.way or WAYS[0]):
        found = _with(found, 2, train_path(objective, BezierPath(a, end), n_steps=n_steps), ends)
    apart = [] if probes is None else [function_distance(objective, x, y, probes) for x, y, *_ in ((a, b), *sisters)]
    return dataclasses.replace(
        found,
        function_distance=apart[0] if apart else float("nan"),
        sister_distance=max(apart[1:], default=float("nan")),
        same_signs=sign_consistency(a, b),
        same_signs_matched=sign_consistency(a, end) if groups else float("nan"),
    )


def _none(n: int) -> tuple[Array, Array]:
    return np.full((len(WAYS), n), np.nan), np.full(len(WAYS), np.nan)


def _require_two(name: str, a: Array, b: Array) -> None:
    if np.array_equal(a, b):
        repair = "take the end of a run of another batch order or another start"
        raise InputError(worded(name, "two different points", "a point beside itself", repair))


def _with(found: Connection, place: int, path: ParameterPath, ends: Sequence[Objective]) -> Connection:
    """Add the losses along a way, its length and the error of its climb."""
    losses, lengths, errors = found.losses.copy(), found.lengths.copy(), found.errors.copy()
    losses[place], errors[place] = _along(ends, path, found.t)
    if place and ends[0] is not ends[1]:
        losses[place, -1] = losses[0, -1]  # a permuted network has permuted statistics: the same function
    lengths[place] = path_length(path)
    return dataclasses.replace(found, losses=losses, lengths=lengths, errors=errors)


def _along(ends: Sequence[Objective], path: ParameterPath, t: Array) -> tuple[Array, float]:
    """Losses along a path, each half with the objective of its end, and the error of their climb over the batches."""
    rows = [ends[int(s > 0.5)].batch_losses(path.points(np.array([s]))[0]) for s in t]
    table, weights = np.array([losses for losses, _ in rows]), rows[0][1]
    losses = table @ weights
    top = int(np.argmax(losses - (1 - t) * losses[0] - t * losses[-1]))
    return losses, batch_error(table[top] - (1 - t[top]) * table[0] - t[top] * table[-1], weights)


def barrier_matrix(
    objective: Objective,
    points: Array,
    *,
    names: Sequence[str] = (),
    groups: Sequence[UnitGroup] = (),
    noise: float = float("nan"),
    n_points: int = 15,
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
    n_points : int
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
    m, t = len(points), np.linspace(0, 1, check_count("n_points", n_points, low=3))
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
    end = match_weights(a, b, objective.layout, groups_at(groups, objective)).theta
    # statistics that a run recorded belong to its own order of the units
    at = objective.for_run(None) if objective.parts.re_estimates else objective
    require_same_loss(at, np.asarray(b, dtype=np.float64), end)
    return end
