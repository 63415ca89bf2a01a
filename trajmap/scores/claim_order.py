"""Whether the order of a run's steps matters."""

from collections.abc import Callable, Iterator

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.claim import Claim
from trajmap.data.progress import Counted, Progress
from trajmap.data.trajectory import Trajectory
from trajmap.scores.claim_inputs import coordinates, evenly, lack

__all__ = ["order_matters"]

NAME = "order matters"
NULLS = ("steps shuffled in blocks", "steps with random signs", "iterates shuffled")
# smaller differences of cosines are zero: stored numbers are rounded, and rounding has an order too
RESOLUTION = 1e-3
QUARTERS = 4


def order_matters(
    run: Trajectory | Array,
    *,
    size: int | None = None,
    n_draws: int = 99,
    tried: int = 1,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Claim:
    """Test whether the relation between steps depends on their time, beyond what any shuffle shows.

    The statistic is the profile of the mean cosine between steps at the lags 1, 2, 3–4, 5–8, …, and between the steps
    of each quarter of the run and all others. It does not depend on norms, so a falling learning rate is no order, and
    a drift raises the whole profile equally. There are three nulls: shuffled blocks of steps with their norms
    (exchangeable steps, such as a drift with independent noise), random signs (martingales), and shuffled iterates
    after the start (fluctuation about a point). For the run and each surrogate, the largest deviation of its profile
    from the mean of all others, in their standard deviations, is compared. More memory and less memory than in a
    shuffle both count.

    Parameters
    ----------
    run : Trajectory or array-like, shape (T, r)
        A run, or isometric coordinates of one.
    size : int, optional
        P; required with coordinates.
    n_draws : int
        Surrogates of each null.
    tried : int
        Things of which the best was chosen.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the surrogates done and their number.

    Returns
    -------
    Claim
        The value is the distance of the run from the nearest null, in units of the median distance of that null's
        draws; the draws of the other nulls are scaled to it. Parts: the mean cosine at each lag.

    Raises
    ------
    InputError
        If coordinates come without `size`.

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 60)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> order_matters(circle, size=10_000).holds
    'yes'
    >>> order_matters(np.outer(np.arange(60.0), [1, 1]), size=10_000).holds
    'no'
    """
    X, size = coordinates(run, size)
    reason = lack(X, check_count("n_draws", n_draws), check_count("tried", tried))
    if reason:
        return Claim.untested(NAME, reason, NULLS, tried=tried)
    X = X[evenly(len(X))]
    rng = np.random.default_rng(random_state)
    cosines, groups = _cosines(X), _groups(len(X) - 1)
    own = _profile(cosines, groups)
    makers: tuple[Callable[[], Array], ...] = (
        lambda: _in_blocks(cosines, rng),
        lambda: _flipped(cosines, rng),
        lambda: _shuffled(X, rng),
    )
    count = Counted(progress, len(makers) * n_draws)

    def profiles(make: Callable[[], Array]) -> Iterator[Array]:
        for _ in range(n_draws):
            yield _profile(make(), groups)
            count()

    found = [_distances(own, list(profiles(make))) for make in makers]
    effects = [distances[0] / max(float(np.median(distances[1:])), RESOLUTION) for distances in found]
    value = min(effects)
    # one value for all nulls: each row is scaled to it, which preserves ranks; at zero everything ties
    draws = [np.zeros(n_draws) if not d[0] > 0 else np.asarray(d[1:]) * (value / d[0]) for d in found]
    return Claim(NAME, value, np.array(draws), NULLS, tried=tried, parts=_parts(own, len(X) - 1))


def _parts(own: Array, n: int) -> dict[str, float]:
    apart = ["1", "2"] + [f"{2 ** (k - 1) + 1}–{2**k}" for k in range(2, _n_bands(n))]
    names = [f"cosine at lag {name}" for name in apart] + [f"cosine, quarter {k + 1}" for k in range(QUARTERS)]
    return {name: float(value) for name, value in zip(names, own, strict=True)}


def _cosines(X: Array) -> Array:
    """Cosines between steps; NaN for a step of zero length."""
    steps = np.diff(X, axis=0)
    norms = np.linalg.norm(steps, axis=1)
    units = steps / np.where(norms > 1e-12 * norms.max(), norms, np.nan)[:, None]
    return units @ units.T


def _profile(cosines: Array, groups: Array) -> Array:
    """Mean cosine of each group of pairs of steps of nonzero length."""
    values = cosines.ravel()
    known = np.isfinite(values)
    if known.all():
        means = groups @ values / groups.sum(axis=1)
    else:
        means = groups @ np.where(known, values, 0.0) / np.maximum(groups @ known, 1)
    return np.round(means / RESOLUTION) * RESOLUTION


def _groups(n: int) -> Array:
    """Pairs of steps at the lags 1, 2, 3–4, 5–8, …; then pairs of each quarter's steps with all others."""
    places = np.arange(n)
    apart = np.abs(np.subtract.outer(places, places))
    band = np.ceil(np.log2(np.maximum(apart, 1))) + (apart > 0)  # 0 for a step with itself
    when = np.broadcast_to(places[:, None] * QUARTERS // n, (n, n))
    bands = [band == k for k in range(1, _n_bands(n) + 1)]
    quarters = [(when == k) & (apart > 0) for k in range(QUARTERS)]
    return np.array(bands + quarters, dtype=np.float64).reshape(-1, n * n)


def _n_bands(n: int) -> int:
    return int(np.ceil(np.log2(n - 1))) + 1


def _distances(own: Array, draws: list[Array]) -> Array:
    """Largest distance of each profile, the run's first, from the mean of the others, in standard deviations."""
    profiles = np.array([own, *draws])
    off = (profiles - profiles.mean(axis=0)) * len(profiles) / (len(profiles) - 1)
    scaled = off / np.maximum(profiles.std(axis=0), RESOLUTION)
    return np.round(np.abs(scaled).max(axis=1), 9)


def _in_blocks(cosines: Array, rng: np.random.Generator) -> Array:
    n = len(cosines)
    block = max(1, min(round(n**0.5), n // 20))  # with fewer than twenty blocks, the first one stays first too often
    pieces = np.split(np.arange(n), np.arange(int(rng.integers(block)), n, block))
    order = np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])
    return cosines[np.ix_(order, order)]


def _flipped(cosines: Array, rng: np.random.Generator) -> Array:
    signs = rng.choice([-1.0, 1.0], size=len(cosines))
    return cosines * np.outer(signs, signs)


def _shuffled(X: Array, rng: np.random.Generator) -> Array:
    return _cosines(X[np.concatenate([[0], 1 + rng.permutation(len(X) - 1)])])
