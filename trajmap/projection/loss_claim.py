"""Whether the loss distinguishes a run: its loss compared with that of the rotated path and of flipped steps."""

import concurrent.futures
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.claim import Claim
from trajmap.data.frame import Frame
from trajmap.data.gram import isometric_coordinates
from trajmap.data.places import even_places
from trajmap.data.progress import Counted, Progress
from trajmap.data.trajectory import Trajectory
from trajmap.objective.memory import copies_budget
from trajmap.objective.objective import Objective
from trajmap.objective.points import FramePoints
from trajmap.projection.blocks import run_blocks
from trajmap.projection.lifts import number_format

__all__ = ["loss_knows_it"]

_NAME = "the loss knows it"
_NULLS = ("the same path in random directions", "steps with flipped signs", "its own losses in another order")
_OWN = 64  # places of the run itself: the first of this many losses is the highest by chance in 1.6 % of cases
_ORDERS = 999  # they cost no evaluation
_TILE = 2**14  # columns of one generator
_TURNED, _FLIPPED, _ORDERED = (
    1,
    2,
    3,
)  # streams: a seed followed by zeros equals the seed alone, which may be the user's
_LEAST = 8  # iterates: with k steps between places, one sign pattern in 2^k is the run's own


def loss_knows_it(
    objective: Objective,
    trajectory: Trajectory,
    *,
    n_draws: int = 39,
    n_places: int = 12,
    tried: int = 1,
    random_state: int = 0,
    executor: concurrent.futures.Executor | None = None,
    progress: Progress | None = None,
) -> Claim:
    """Test whether the loss falls along a run more than along surrogate paths of the same steps from the same start.

    The statistic is the fall of log L (of L if a loss is not positive) from the start to the mean over the last third
    of the places. It must exceed three nulls. First, the same path in random directions: its displacements, rotated
    about the start by a random rotation of R^P, which preserves all lengths and angles; walks, drifts and orbits
    without information about the loss are as good as their rotations. Second, steps with flipped signs: the
    displacements from place to place, each forwards or backwards at random, in the run's own directions. Third, its own
    losses in another order: in a run that only fluctuates, the first place is as often the highest as any other. A loss
    of NaN or inf on a surrogate counts as the highest observed loss.

    Parameters
    ----------
    objective : Objective
        The loss; it is evaluated with the run's own BatchNorm statistics.
    trajectory : Trajectory
        The run; iterates with NaN or inf are omitted.
    n_draws : int
        Surrogate paths for each of the first two nulls: 2·n_draws·n_places/3 evaluations, and 64 along the run.
    n_places : int
        Places on a path, evenly spaced among the iterates, including the start.
    tried : int
        Number of alternatives from which this was chosen.
    random_state : int
        Seed.
    executor : concurrent.futures.Executor, optional
        Executor for the surrogate paths; by default this process.
    progress : callable, optional
        Called with the number of paths done and the total.

    Returns
    -------
    Claim
        ``value`` is the fall; for logarithms, exp(value) is the factor by which the loss falls. Parts: ``start`` and
        ``end``, losses; ``logarithm``, 1 if the fall is one of logarithms; ``places`` and ``judged``, their numbers.

    Examples
    --------
    >>> bowl = Objective.from_function(lambda x: 0.5 * x @ x + 0.1, size=30, gradient=lambda x: x)
    >>> theta = np.random.default_rng(0).normal(size=30)
    >>> descent = Trajectory.of(np.array([0.9**t * theta for t in range(40)]), layout=bowl.layout)
    >>> loss_knows_it(bowl, descent, n_draws=19).holds
    'yes'
    """
    check_count("n_draws", n_draws), check_count("n_places", n_places, low=_LEAST)
    objective, run = objective.along(trajectory), _finite(trajectory)
    if run is None or run.n_iterates < _LEAST:
        return Claim.untested(_NAME, f"fewer than {_LEAST} iterates that are finite numbers", _NULLS, tried=tried)
    places = even_places(run.n_iterates, n_places)
    judged = len(places) - max(len(places) // 3, 1)
    kept = run.take(places)
    coordinates = isometric_coordinates(kept.iterates)
    if not coordinates.shape[1]:
        return Claim.untested(_NAME, "the run does not move", _NULLS, tried=tried)
    fine = np.union1d(even_places(run.n_iterates, _OWN), places)
    along = objective.values(run.take(fine).iterates)
    own = along[np.searchsorted(fine, places)]
    if not np.isfinite(own[[0, *range(judged, len(own))]]).all():
        return Claim.untested(
            _NAME, "the loss is not a finite number at the start or at the end of the run", _NULLS, tried=tried
        )
    work = _Surrogates(objective, kept, coordinates - coordinates[0], judged, random_state)
    which = np.array([(kind, draw) for kind in range(2) for draw in range(n_draws)])
    found = run_blocks(work, which, block=1, executor=executor, progress=Counted(progress, 2 * n_draws))["loss"]
    return _claim(own, along, found.reshape(2, n_draws, -1), judged, tried, random_state)


def _claim(own: Array, along: Array, found: Array, judged: int, tried: int, random_state: int) -> Claim:
    """Compute the falls on one scale: losses (n_places,) and (n_own,) of the run, (2, n_draws, k) of surrogates."""
    rise, logarithm = _scale(np.concatenate([along, found.ravel()]))
    start, value = rise(own[:1])[0], float(rise(own[:1])[0] - rise(own[judged:]).mean())
    rng, pool = np.random.default_rng((random_state, _ORDERED)), rise(along)
    chosen = [pool[rng.choice(len(pool), 1 + len(own) - judged, replace=False)] for _ in range(_ORDERS)]
    draws = np.full((3, max(_ORDERS, found.shape[1])), np.nan)
    draws[:2, : found.shape[1]] = start - rise(found).mean(axis=2)
    draws[2, :_ORDERS] = [row[0] - row[1:].mean() for row in chosen]
    parts = {
        "start": float(own[0]),
        "end": float(own[judged:].mean()),
        "logarithm": float(logarithm),
        "places": float(len(own)),
        "judged": float(len(own) - judged),
    }
    return Claim(_NAME, value, draws, _NULLS, tried=tried, parts=parts)


def _scale(losses: Array) -> tuple[Callable[[Array], Array], bool]:
    """Logarithms if every loss is positive; NaN and inf become the highest of the other losses."""
    known = losses[np.isfinite(losses)]
    top, positive = known.max(), bool(known.min() > 0)

    def rise(values: Array) -> Array:
        bounded = np.where(np.isfinite(values), values, top)
        return np.log(bounded) if positive else bounded

    return rise, positive


class _Surrogates:
    """Losses at the judged places of surrogate paths: kind 0 is rotated at random, kind 1 has flipped signs."""

    def __init__(self, objective: Objective, kept: Trajectory, moved: Array, judged: int, seed: int) -> None:
        self._objective, self._kept, self._moved = objective, kept, moved
        self._judged, self._seed = judged, seed
        # the judged points of a path in one pass over its frame
        self._budget = copies_budget(objective.like, kept.size, 2 * (len(moved) - judged))
        self._flipped: FramePoints | None = None

    def __call__(self, points: Array) -> dict[str, Array]:
        """Evaluate the paths given by rows (kind, draw)."""
        rows = [self._objective.values((self._turned, self._flips)[kind](int(draw))) for kind, draw in points]
        return {"loss": np.array(rows)}

    def packed(self, folder: Path) -> "_Surrogates":
        """Everything is pickled except the objects made from it."""
        return _Surrogates(self._objective, self._kept, self._moved, self._judged, self._seed)

    def _turned(self, draw: int) -> FramePoints:
        like, rank = self._objective.like, self._moved.shape[1]
        rows = _GaussianRows((rank, self._kept.size), (self._seed, _TURNED, draw), number_format(like))
        frame = Frame(self._kept.theta(0), rows)
        # the rows' lower Cholesky factor makes them orthonormal, with a uniform distribution
        turned = np.linalg.solve(np.linalg.cholesky(frame.gram()).T, self._moved[self._judged :].T).T
        return FramePoints(frame, turned, like, budget=self._budget)

    def _flips(self, draw: int) -> FramePoints:
        n = len(self._moved)
        signs = np.random.default_rng((self._seed, _FLIPPED, draw)).choice([-1.0, 1.0], n - 1)
        # θ₀ + Σ ±(difference of neighbours), as a combination of the iterates
        weights = np.tri(n, n - 1, -1) * signs @ (np.eye(n)[1:] - np.eye(n)[:-1])
        if self._flipped is None:
            frame, like = Frame(self._kept.theta(0), self._kept.iterates), self._objective.like
            self._flipped = FramePoints(frame, weights, like, budget=self._budget)
        return self._flipped.at(weights[self._judged :])


class _GaussianRows:
    """Rows of standard normal numbers, generated on demand by columns, and always the same."""

    ndim = 2

    def __init__(self, shape: tuple[int, int], seed: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype, self._seed = shape, np.dtype(dtype), seed
        self._width = min(_TILE, shape[1])

    def __getitem__(self, key: tuple[slice, slice]) -> Array:
        start, stop, _ = key[1].indices(self.shape[1])
        tiles = range(start // self._width, -(-stop // self._width))
        shape = (self.shape[0], self._width)
        made = [np.random.default_rng((*self._seed, tile)).standard_normal(shape, self.dtype.type) for tile in tiles]
        first = tiles.start * self._width
        return np.concatenate(made, axis=1)[key[0], start - first : stop - first]


def _finite(trajectory: Trajectory) -> Trajectory | None:
    finite = trajectory.is_finite
    return trajectory if finite.all() else trajectory.take(finite) if finite.sum() > 1 else None
