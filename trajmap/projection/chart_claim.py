"""Whether a chart carries the loss: the loss of lifts of unseen iterates, compared with chance."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.claim import ALPHA, Claim
from trajmap.data.frame import stretches
from trajmap.data.places import even_places
from trajmap.data.progress import Progress, counted
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective
from trajmap.objective.points import ArrayPoints
from trajmap.projection.lift_gaps import lift_gap
from trajmap.projection.moved import MovedPoints

__all__ = ["chart_carries_loss"]

_NAME = "the chart carries the loss"
_NULLS = ("nearest recorded iterate", "as far from it in a random direction")


def chart_carries_loss(
    objective: Objective,
    fit: Callable[[Array], Any],
    trajectory: Trajectory,
    *,
    sister: Trajectory | None = None,
    n_blocks: int = 8,
    per_block: int = 2,
    n_draws: int = 39,
    tried: int = 1,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Claim:
    """Test whether lifts have the loss of their iterates, on iterates unseen by the chart.

    In each block the error e of the lifts' loss is compared with the error e' of the loss of the nearest recorded
    iterate that the chart has seen. The share e'/(e' + e) is ½ if the chart is no better than that iterate, and 1 if
    the lifts are exact. The claim is that the mean share over the blocks exceeds two nulls, which use the same
    information as the chart. The first exchanges lifts and nearest iterates in whole blocks, because neighbours in time
    are not independent. The second replaces the lifts by points in random directions from the nearest iterate, at the
    distance of the unseen one. Moving the unseen iterate itself by the distance of its lift (part ``moved``) usually
    costs less than the lift. It starts from the answer and is therefore no null, but it shows the cost of the lift's
    direction.

    Parameters
    ----------
    objective : Objective
        The loss.
    fit : callable
        ``fit(rows) -> chart``, fitted to the iterates at these places.
    trajectory : Trajectory
        The run.
    sister : Trajectory, optional
        Another run that provides the unseen iterates; the chart is then fitted to the whole of `trajectory`. By default
        each block of time of `trajectory` is held out in turn.
    n_blocks : int
        Blocks of time. With k blocks p is at least 2⁻ᵏ: use 5 for one chart, and one more for every doubling of
        `tried`.
    per_block : int
        Number of evaluated iterates per block, at least 2.
    n_draws : int
        Draws per null: n_blocks·per_block·n_draws evaluations.
    tried : int
        Number of charts from which this one was chosen.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the number of blocks done and the total.

    Returns
    -------
    Claim
        ``value`` is the mean share, with the 90 % interval of a bootstrap over the blocks. Parts: ``lift``,
        ``nearest``, ``random`` and ``moved``, median errors of the loss, over the range of the losses of the unseen
        iterates; ``blocks``, their number.

    Examples
    --------
    >>> from trajmap.data.plane import Plane
    >>> bowl = Objective.from_function(lambda x: 0.5 * x @ x, size=40, gradient=lambda x: x)
    >>> run = Trajectory.of(np.outer(np.linspace(3, 1, 50), np.eye(40)[0]) + 0.01, layout=bowl.layout)
    >>> claim = chart_carries_loss(bowl, lambda rows: Plane(np.zeros(40), np.eye(40)[:1]), run)
    >>> claim.holds, claim.value > 0.9
    ('yes', True)
    """
    check_count("n_draws", n_draws), check_count("per_block", per_block, low=2), check_count("n_blocks", n_blocks)
    rng, blocks = np.random.default_rng(random_state), []
    pieces = _held_out(fit, trajectory, n_blocks) if sister is None else _of_sister(fit, trajectory, sister, n_blocks)
    along = objective.along(trajectory)
    at = along if sister is None or not sister.buffers(-1) else objective.for_run(sister)
    for chart, seen, unseen in counted(pieces, progress, n_blocks):
        rows = even_places(unseen.n_iterates, per_block + 2)
        rows = rows[1:-1] if len(rows) > per_block else rows
        few = unseen.take(rows) if len(rows) > 1 else unseen.take(np.array([0, unseen.n_iterates - 1]))
        blocks.append(_block((along, at), chart, seen, few, n_draws, rng))
    known = [block for block in blocks if block is not None]
    if tried * 0.5 ** len(known) > ALPHA:
        reason = f"{len(known)} blocks of two iterates of finite loss are too few"
        return Claim.untested(_NAME, reason, _NULLS, tried=tried)
    return _claim(known, n_draws, tried, rng)


def _held_out(fit: Callable[[Array], Any], run: Trajectory, n: int) -> Iterator[tuple[Any, Trajectory, Trajectory]]:
    places = np.arange(run.n_iterates)
    for block in np.array_split(places, n):
        rest = np.setdiff1d(places, block)
        if len(block) > 1 and len(rest) > 1:
            yield fit(rest), run.take(rest), run.take(block)


def _of_sister(
    fit: Callable[[Array], Any], run: Trajectory, sister: Trajectory, n: int
) -> Iterator[tuple[Any, Trajectory, Trajectory]]:
    chart = fit(np.arange(run.n_iterates))
    for block in np.array_split(np.arange(sister.n_iterates), n):
        if len(block) > 1:
            yield chart, run, sister.take(block)


@dataclasses.dataclass(frozen=True)
class _Block:
    """Losses of m unseen iterates, and errors of their substitutes: (m,) each, (n_draws, m) for `random`."""

    values: Array
    lift: Array
    nearest: Array
    moved: Array
    random: Array


def _block(
    objectives: tuple[Objective, Objective],
    chart: Any,
    seen: Trajectory,
    few: Trajectory,
    n_draws: int,
    rng: np.random.Generator,
) -> _Block | None:
    """Errors of one block; None if no iterate has a finite loss. Objectives are the run's and the unseen's."""
    along, at = objectives
    gap = lift_gap(at, chart, few, random_state=int(rng.integers(2**31)))
    places, away = _nearest(few.iterates, seen.iterates)
    centres = seen.iterates[places]
    near = along.values(centres)
    draws = [along.values(MovedPoints(ArrayPoints(centres), away, few.size, rng)) for _ in range(n_draws)]
    known = np.isfinite(gap.values)
    if not known.any():
        return None
    others = np.array([gap.lifted_values, near, gap.control_values, *draws])[:, known]
    with np.errstate(invalid="ignore"):
        errors = np.abs(others - gap.values[known])
    # a point without a finite loss has the largest error
    errors = np.where(np.isfinite(errors), errors, np.inf)
    return _Block(gap.values[known], errors[0], errors[1], errors[2], errors[3:])


def _nearest(unseen: Any, seen: Any) -> tuple[Array, Array]:
    """Places of the iterates (T, P) nearest to some others (m, P), and their distances: (m,) each."""
    squares = np.zeros((len(unseen), len(seen)))
    for columns in stretches(len(seen) + len(unseen), seen.shape[1]):
        theirs = np.asarray(seen[:, columns], dtype=np.float64)
        for i, ours in enumerate(np.asarray(unseen[:, columns], dtype=np.float64)):
            squares[i] += np.square(theirs - ours).sum(axis=1)
    return squares.argmin(axis=1), np.sqrt(squares.min(axis=1))


def _claim(blocks: list[_Block], n_draws: int, tried: int, rng: np.random.Generator) -> Claim:
    """Compare the mean share with those of exchanged blocks and of random directions."""
    lift, nearest = (np.array([part.mean() for part in parts]) for parts in zip(*_pairs(blocks), strict=True))
    random = np.array([block.random.mean(axis=1) for block in blocks])  # (n_blocks, n_draws)
    shares = _share(nearest, lift)
    value = float(shares.mean())
    exchanged = np.where(rng.random((n_draws, len(blocks))) < 0.5, shares, 1 - shares).mean(axis=1)
    again = shares[rng.integers(len(blocks), size=(999, len(blocks)))].mean(axis=1)
    low, high = (float(np.quantile(again, q)) for q in (0.05, 0.95))
    draws = np.array([exchanged, _share(nearest[:, None], random).mean(axis=0)])
    scale = float(np.ptp(np.concatenate([block.values for block in blocks])))
    errors = {
        "lift": np.concatenate([block.lift for block in blocks]),
        "nearest": np.concatenate([block.nearest for block in blocks]),
        "random": np.concatenate([block.random.ravel() for block in blocks]),
        "moved": np.concatenate([block.moved for block in blocks]),
    }
    parts = {name: float(np.median(found)) / scale if scale > 0 else np.nan for name, found in errors.items()}
    return Claim(_NAME, value, draws, _NULLS, low, high, tried, parts | {"blocks": float(len(blocks))})


def _pairs(blocks: list[_Block]) -> Iterator[tuple[Array, Array]]:
    return ((block.lift, block.nearest) for block in blocks)


def _share(nearest: Array, error: Array) -> Array:
    """Share e'/(e' + e) of the nearest iterate's error; ½ if both are 0 or both are infinite."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1 / (1 + error / nearest)
    return np.where(np.isnan(share), 0.5, share)
