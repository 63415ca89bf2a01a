"""Whether two points are in one basin: barriers along the segment, after matching units, and along a trained curve."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.basins.asymmetry import sign_consistency
from trajmap.basins.batch_errors import batch_error
from trajmap.basins.matching import groups_at, match_weights, require_same_loss
from trajmap.basins.paths import BezierPath, ParameterPath, SegmentPath, path_length, path_losses, train_path
from trajmap.basins.unit_group import UnitGroup
from trajmap.data.path_climb import above_chord, barrier_height
from trajmap.data.progress import Counted, Progress
from trajmap.data.results.barriers import Barriers
from trajmap.data.results.connection import WAYS, Connection
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.predictions import function_distance

__all__ = ["barrier", "barrier_matrix"]

Pair = tuple[Array, Array] | tuple[Array, Array, Objective]


def barrier(  # ruff: ignore[too-many-arguments] - each option is an independent choice with a default
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
    progress: Progress | None = None,
) -> Connection:
    """Measure the barrier between two points, max_t L((1 − t) a + t b) − ½ (L(a) + L(b)), and search for lower paths.

    Parameters
    ----------
    objective : Objective
        The loss. With ``objective.for_run(run)`` the first half of each path uses the BatchNorm statistics of the run
        of `a`: recorded at `a`, estimated from the data elsewhere.
    a, b : array-like, shape (P,)
        The points, for example the last iterates of two runs.
    at_b : Objective, optional
        The loss with the statistics of b's run, for the second half of each path; the same by default.
    groups : sequence of UnitGroup, optional
        Hidden units that may be matched, from ``unit_groups(objective)``; an empty sequence means that there are none.
        By default nothing is matched, and the answer is then never two basins.
    sisters : sequence of pairs of array-like
        Pairs of points known to share a basin, such as ends of sister runs: the barriers of their segments are the
        noise level. The loss with the statistics of the second one's run may be a third element.
    n_points : int
        Positions on each path.
    n_steps : int
        Training steps of the curve; 0 omits it. It is also omitted if a straight line has no barrier.
    probes : torch.Tensor, optional
        Inputs of a classifier, for comparing the two points and the sisters as functions.
    name : str
        What is connected, for titles.
    progress : callable, optional
        Called with the evaluations and the steps of the curve done, and how many there may be.

    Returns
    -------
    Connection
        Losses along the paths, with errors over the data's batches; and whether there are one or two basins, or the
        reason why this is unknown.

    Raises
    ------
    InputError
        If two points are equal, or the matched network is not the same function because the groups are wrong.

    References
    ----------
    T. Garipov et al., 2018 (curves); J. Frankle et al., Linear mode connectivity and the lottery ticket hypothesis,
    2020; S. Ainsworth et al., Git Re-Basin, 2023.
    """
    check_count("n_steps", n_steps, low=0)
    t = np.linspace(0, 1, check_count("n_points", n_points, low=3))
    _require_two("b", a, b)
    ends, climbs = [objective, at_b or objective], []
    curved = n_points + n_steps if n_steps else 0
    count = Counted(progress, n_points * (len(sisters) + 1 + bool(groups)) + curved)
    for x, y, *at in sisters:
        _require_two("sisters", x, y)
        if all(any(np.array_equal(point, end) for end in (a, b)) for point in (x, y)):
            raise InputError(worded("sisters", "a pair other than the two points", "these", "omit it"))
        losses, _ = _along([objective, *(at or ends[:1])], SegmentPath(x, y), t, count)
        climbs.append(float(np.max(above_chord(t, losses))))
    known: dict[str, Any] = {"noise": max(climbs, default=float("nan")), "n_sisters": len(climbs), "name": name}
    known["matching"] = "not tried" if groups is None else "tried" if groups else "nothing to match"
    end = _matched(objective, a, b, groups) if groups else np.asarray(b, dtype=np.float64)
    found = Connection(t, *_none(n_points), **known)
    found = _with(found, 0, SegmentPath(a, b), ends, count)
    if groups:
        found = _with(found, 1, SegmentPath(a, end), ends, count)
    if n_steps and found.climb(found.way or WAYS[0]) > found.limit(found.way or WAYS[0]):
        curve = train_path(objective, BezierPath(a, end), n_steps=n_steps, progress=lambda *_: count())
        found = _with(found, 2, curve, ends, count)
    count.finish()
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
        repair = "use the end of a run with another batch order or another start"
        raise InputError(worded(name, "two different points", "the same point twice", repair))


def _with(found: Connection, place: int, path: ParameterPath, ends: Sequence[Objective], count: Counted) -> Connection:
    """Add the losses along a path, its length and the error of its climb."""
    losses, lengths, errors = found.losses.copy(), found.lengths.copy(), found.errors.copy()
    losses[place], errors[place] = _along(ends, path, found.t, count)
    if place and ends[0] is not ends[1]:
        losses[place, -1] = losses[0, -1]  # a permuted network has permuted statistics: the same function
    lengths[place] = path_length(path)
    return dataclasses.replace(found, losses=losses, lengths=lengths, errors=errors)


def _along(ends: Sequence[Objective], path: ParameterPath, t: Array, count: Counted) -> tuple[Array, float]:
    """Losses along a path, each half with the objective of its end, and the error of their climb over the batches."""
    rows = []
    for s in t:
        rows.append(ends[int(s > 0.5)].batch_losses(path.points(np.array([s]))[0]))
        count()
    table, weights = np.array([losses for losses, _ in rows]), rows[0][1]
    losses = table @ weights
    top = int(np.argmax(above_chord(t, losses)))
    return losses, batch_error(above_chord(t, table)[top], weights)


def barrier_matrix(
    objective: Objective,
    points: Array,
    *,
    names: Sequence[str] = (),
    groups: Sequence[UnitGroup] = (),
    noise: float = float("nan"),
    n_points: int = 15,
    progress: Progress | None = None,
) -> Barriers:
    """Barriers between all pairs of points, along segments, after matching if groups are given.

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
        Called with the number of pairs done and the total.

    Returns
    -------
    Barriers
        The table; draw it with ``plot_barriers``.

    Raises
    ------
    InputError
        If there are fewer than two points, or a matched network is not the same function.
    """
    points = check_array("points", points, (None, objective.size), dtype=np.float64)
    m, t = len(points), np.linspace(0, 1, check_count("n_points", n_points, low=3))
    if m < 2:
        raise InputError(worded("points", "at least 2", f"{m}"))
    found, count = np.zeros((m, m)), Counted(progress, m * (m - 1) // 2)
    for i in range(m):
        for j in range(i):
            end = points[j]
            if groups:
                end = _matched(objective, points[i], end, groups)
            losses = path_losses(objective, SegmentPath(points[i], end), t)
            found[i, j] = found[j, i] = barrier_height(losses)
            count()
    return Barriers(list(names) or [str(i + 1) for i in range(m)], found, matched=bool(groups), noise=noise)


def _matched(objective: Objective, a: Array, b: Array, groups: Sequence[UnitGroup]) -> Array:
    """Bring b near a by permuting units, and hold it against b before anyone sees it."""
    end = match_weights(a, b, objective.layout, groups_at(objective, groups)).theta
    # statistics that a run recorded belong to its own order of the units
    at = objective.for_run(None) if objective.parts.re_estimates else objective
    require_same_loss(at, np.asarray(b, dtype=np.float64), end)
    return end
