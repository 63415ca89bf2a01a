"""Whether a second run took the same path, and whether the two share more than a straight line."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.claim import Claim
from trajmap.data.fan import Fan
from trajmap.data.progress import Counted, Progress
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.scores.claim_inputs import evenly, finite_coordinates, lack
from trajmap.scores.null import isotropic_rows, signed_steps
from trajmap.scores.relaxation import fit_relaxation
from trajmap.scores.surrogates import check_size

__all__ = ["reproducible", "reproducible_beyond_line"]

NULLS = ("the sister turned at random", "steps with random signs")
LINE_NULLS = ("the sister turned at random", "a drift plus noise", "a fitted relaxation")
# longer runs are thinned evenly to at most this many iterates: the cost of each surrogate is its cube
MOST = 128
# starts farther apart than this fraction of the smaller extent count as different
SAME_START = 0.2
# iterates nearer than this fraction of the extent count as equal, because stored numbers are rounded
EQUAL = 1e-6


def reproducible(
    run: Trajectory | Array,
    sister: Trajectory | Array,
    *,
    size: int | None = None,
    n_draws: int = 99,
    tried: int = 1,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Claim:
    """Test whether a second run from the same start shares the first one's path.

    The effect is Σ⟨u_t, v_t⟩ / √(Σ‖u_t‖² Σ‖v_t‖²) of the two runs' displacements u and v from the start: 1 for equal
    paths, 0 on average for independent ones. Because the noise of the two runs is independent, the products ⟨u_t, v_s⟩
    are on average those of the common mean path. Its rank-one part is a straight line at any speed; the rest is
    ``beyond``. There are two nulls: rotated at random in R^P, the sister keeps its shape and agrees only by chance;
    with random signs, the steps keep their covariance and their common directions. Any common displacement counts: a
    drift, a relaxation or an orbit. Common iterates at the start give no information: the comparison starts where the
    runs separate.

    Parameters
    ----------
    run, sister : Trajectory or array-like, shape (T, r)
        Two runs of one start; or coordinates of both in one isometric space. The longer one is cut to the length of the
        shorter.
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
        Parts: ``line`` and ``beyond``, whose sum is the value, and ``common``, the number of common iterates after the
        start.

    Raises
    ------
    InputError
        If the sister is the run itself, has another start or layout, or coordinates are given without `size`.

    Examples
    --------
    >>> t = np.linspace(0, 1, 30)[:, None]
    >>> curve = np.hstack([t, t**2, np.zeros((30, 2))])
    >>> claim = reproducible(curve, curve + 0.01 * t * [0, 0, 1, -1], size=10_000)
    >>> claim.holds, round(claim.value, 3), round(claim.parts["line"], 3)
    ('yes', 1.0, 0.985)
    """
    pair = _pair(run, sister, size, n_draws, tried)
    if pair.reason:
        return Claim.untested("reproducible", pair.reason, NULLS, tried=tried)
    total, line = _shared([pair.runs])[0].tolist()
    draws = _draws(pair, (_turned, _flips), n_draws, random_state, progress)
    parts = {"line": line, "beyond": total - line, "common": float(pair.common)}
    return Claim("reproducible", total, draws[..., 0], NULLS, tried=tried, parts=parts)


def reproducible_beyond_line(
    run: Trajectory | Array,
    sister: Trajectory | Array,
    *,
    size: int | None = None,
    n_draws: int = 99,
    tried: int = 1,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Claim:
    """Test whether two runs of one start share more than a straight line at any speed.

    The effect is the part ``beyond`` of `reproducible`. There are three nulls: the sister rotated at random in R^P,
    where a draw also counts if its total shared part is as large; the common line, plus each run's own steps off the
    line with random signs; and a pull to one point plus noise, fitted to both.

    Parameters
    ----------
    run, sister : Trajectory or array-like, shape (T, r)
        Two runs of one start; or coordinates of both in one isometric space. The longer one is cut to the length of the
        shorter.
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
        Parts: ``line``, ``beyond`` and ``common`` as of `reproducible`, and the ``pull`` of the fitted relaxation.

    Raises
    ------
    InputError
        If the sister is the run itself, has another start or layout, or coordinates are given without `size`.

    Examples
    --------
    >>> angle = np.linspace(0, 3, 40)[:, None]
    >>> rng = np.random.default_rng(0)
    >>> arc = np.hstack([np.sin(angle), 1 - np.cos(angle), np.zeros((40, 30))])
    >>> line = np.hstack([angle, np.zeros((40, 31))])
    >>> noise = np.cumsum(0.01 * rng.normal(size=(2, 40, 32)), axis=1)
    >>> noise -= noise[:, :1]
    >>> [reproducible_beyond_line(way + noise[0], way + noise[1], size=32).holds for way in (arc, line)]
    ['yes', 'no']
    """
    name = "reproducible beyond a straight line"
    pair = _pair(run, sister, size, n_draws, tried)
    if pair.reason:
        return Claim.untested(name, pair.reason, LINE_NULLS, tried=tried)
    total, line = _shared([pair.runs])[0].tolist()
    fit = fit_relaxation(pair.runs)
    makers = (_turned, _line_maker(pair.runs), lambda pair, rng: fit.draw(rng))
    draws = _draws(pair, makers, n_draws, random_state, progress)
    parts = {"line": line, "beyond": total - line, "common": float(pair.common), "pull": fit.pull}
    beyond = draws[..., 0] - draws[..., 1]
    beyond[0] = np.where(draws[0, :, 0] >= total, np.maximum(beyond[0], total - line), beyond[0])
    rest = total - line
    # a value within rounding counts as zero, for any null
    return Claim(name, rest, beyond if rest > 1e-9 else np.maximum(beyond, rest), LINE_NULLS, tried=tried, parts=parts)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pair:
    """Displacements of two runs from where they separate, of equal length; or why they cannot be compared."""

    runs: list[Array]
    size: int
    common: int
    reason: str


Maker = Callable[[_Pair, np.random.Generator], list[Array]]


def _pair(run: Trajectory | Array, sister: Trajectory | Array, size: int | None, n_draws: int, tried: int) -> _Pair:
    X, Y, size = _together(run, sister, size)
    n_draws, tried = check_count("n_draws", n_draws), check_count("tried", tried)
    everything, T = X, min(len(X), len(Y))
    X, Y = X[:T], Y[:T]
    reason = lack(X, n_draws, tried) or lack(Y, n_draws, tried).replace("the iterates", "the sister's iterates")
    if reason:
        return _Pair([], size, 0, reason)
    extent = _check_start(X, Y)
    apart = np.linalg.norm(X - Y, axis=1) > EQUAL * extent
    common = int(np.argmax(apart)) - 1 if apart.any() else T
    common = max(common, 0)
    if common == T or np.mean(cdist(Y[common + 1 :], everything).min(axis=1) <= EQUAL * extent) > 0.5:
        raise InputError(
            worded("sister", "another run", "iterates of the run itself", "train again from the same start")
        )
    X, Y = X[common:], Y[common:]
    reason = lack(X, n_draws, tried)
    every = evenly(len(X), MOST)
    return _Pair(
        [(part - part[0])[every] for part in (X, Y)], size, common, reason and f"after the runs separate: {reason}"
    )


def _together(run: Trajectory | Array, sister: Trajectory | Array, size: int | None) -> tuple[Array, Array, int]:
    if isinstance(run, Trajectory) and isinstance(sister, Trajectory):
        both = finite_coordinates(Fan(("run", "sister"), (run, sister)).iterates)
        return both[: run.n_iterates], both[run.n_iterates :], check_size(run.size if size is None else size)
    if isinstance(run, Trajectory) or isinstance(sister, Trajectory):
        raise InputError(
            worded("sister", "the same type as the run: two trajectories, or two arrays of coordinates", sister)
        )
    X = check_array("run", run, (None, None), dtype=np.float64)
    Y, size = check_array("sister", sister, (None, X.shape[1]), dtype=np.float64), check_size(size)
    if X.shape[1] > len(X) + len(Y):  # more coordinates than necessary for the points
        both = finite_coordinates(np.vstack([X, Y]))
        X, Y = both[: len(X)], both[len(X) :]
    return X, Y, size


def _check_start(X: Array, Y: Array) -> float:
    """Raise an error if the starts are far apart relative to the runs' extents; return the extent."""
    apart = float(np.linalg.norm(X[0] - Y[0]))
    extents = [float(np.linalg.norm(part - part[0], axis=1).max()) for part in (X, Y)]
    if apart > SAME_START * min(extents):
        got = f"starts {apart:.3g} apart, with runs of extent {min(extents):.3g}"
        raise InputError(worded("sister", "a run of the same start", got, "start both from the same weights"))
    return max(extents)


def _shared(pairs: list[list[Array]]) -> Array:
    """Compute the shared part of two runs, in total and on the best line through the start, by their variance."""
    products = np.array([u[1:] @ v[1:].T for u, v in pairs])
    scale = np.array([np.sqrt(np.sum(u**2) * np.sum(v**2)) for u, v in pairs])
    top = np.linalg.eigvalsh((products + products.transpose(0, 2, 1)) / 2)[:, -1]
    both = np.stack([np.trace(products, axis1=1, axis2=2), top], axis=1) / scale[:, None]
    return np.round(both, 9)  # so that surrogates equal to the runs tie with them


def _draws(pair: _Pair, makers: tuple[Maker, ...], n_draws: int, random_state: int, progress: Progress | None) -> Array:
    """Compute the shared parts of surrogates, (n_nulls, n_draws, 2)."""
    rng = np.random.default_rng(random_state)
    count = Counted(progress, len(makers) * n_draws)

    def pairs(make: Maker) -> Iterator[list[Array]]:
        for _ in range(n_draws):
            yield make(pair, rng)
            count()

    return np.array([_shared(list(pairs(make))) for make in makers])


def _summed(steps: Array) -> Array:
    return np.vstack([np.zeros(steps.shape[1]), np.cumsum(steps, axis=0)])


def _turned(pair: _Pair, rng: np.random.Generator) -> list[Array]:
    """Rotate the second run at random in R^P; both runs keep their shape."""
    u, v = pair.runs
    r = u.shape[1]
    if pair.size <= 2 * r:
        turn = _orthonormal(rng.normal(size=(pair.size, pair.size)))[:r, :r]
    else:  # the block of a rotation of R^P is made from two random subspaces
        rows = isotropic_rows(rng, 2 * r, pair.size)
        turn = _orthonormal(rows[:r].T).T @ _orthonormal(rows[r:].T)
    # the part outside the runs' space does not enter the products, but is kept in the norm
    return [np.hstack([u, np.zeros((len(u), 1))]), _kept(v @ turn, v)]


def _orthonormal(columns: Array) -> Array:
    """Make Gaussian columns orthonormal with a uniform distribution; QR alone prefers some signs."""
    basis, triangle = np.linalg.qr(columns)
    return np.asarray(basis * np.where(np.diag(triangle) < 0, -1.0, 1.0))


def _kept(inside: Array, run: Array) -> Array:
    lost = np.sum(run**2, axis=1) - np.sum(inside**2, axis=1)
    return np.hstack([inside, np.sqrt(np.maximum(lost, 0))[:, None]])


def _flips(pair: _Pair, rng: np.random.Generator) -> list[Array]:
    return [_summed(signed_steps(rng, np.diff(run, axis=0))) for run in pair.runs]


def _line_maker(runs: list[Array]) -> Maker:
    """Make surrogates that share only the runs' line."""
    u, v = runs
    products = u @ v.T
    values, vectors = eigh((products + products.T) / 2, subset_by_index=[len(products) - 1, len(products) - 1])
    along = vectors[:, 0]
    way = u.T @ along + v.T @ along
    way = way / max(float(np.linalg.norm(way)), np.finfo(float).tiny)
    # positions along the line from the shared part, because the mean contains no noise along the line
    speed = np.diff(np.sqrt(max(float(values[0]), 0.0)) * along)
    ratio = np.sqrt(np.linalg.norm(u @ way) / max(float(np.linalg.norm(v @ way)), np.finfo(float).tiny))
    drifts = [np.outer(speed * factor, way) for factor in (ratio, 1 / ratio if ratio > 0 else 0.0)]
    noise = [np.diff(run, axis=0) - drift for run, drift in zip(runs, drifts, strict=True)]
    return lambda pair, rng: [_summed(d + signed_steps(rng, e)) for d, e in zip(drifts, noise, strict=True)]
