"""A pull to a point plus noise, fitted to runs: the Ornstein–Uhlenbeck process in discrete time."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.signal import lfilter

from trajmap._validation import Array
from trajmap.scores.null import signed_steps

__all__ = ["Relaxation", "fit_relaxation"]


@dataclasses.dataclass(frozen=True, eq=False)
class Relaxation:
    """The fit x_{t+1} = x_t − pull (x_t − μ) + e_t to one run or to several with the same start.

    Parameters
    ----------
    pull : float
        Fraction of the distance to μ per step, in [0, 1]; 0 is a drift plus noise.
    push : numpy.ndarray, shape (r,)
        pull · (μ − start): the expected step at the start.
    noise : tuple of numpy.ndarray, shape (n, r)
        Residual steps of each run.
    """

    pull: float
    push: Array
    noise: tuple[Array, ...]

    def draw(self, rng: np.random.Generator) -> list[Array]:
        """Make a path from 0 for each run, with residuals of random sign but the same norms and covariance."""
        made = []
        for noise in self.noise:
            steps = self.push + signed_steps(rng, noise)
            path = lfilter([1.0], [1.0, self.pull - 1.0], steps, axis=0)
            made.append(np.vstack([np.zeros(path.shape[1]), path]))
        return made


def fit_relaxation(runs: Sequence[Array]) -> Relaxation:
    """Fit one pull and one centre to runs, by bias-corrected least squares.

    Least squares overestimates the pull, by 3/T on a walk, because the centre is fitted too: noise moves the mean with
    which the later points are compared. This bias is known for every pull, and the pull is solved for. The noise in the
    centre also lengthens the path to it, and is subtracted from its square.

    Parameters
    ----------
    runs : sequence of numpy.ndarray, shape (T, r)
        Coordinates in one isometric space, at least three points each; the first point of each is the start.

    Returns
    -------
    Relaxation
        The fit.

    References
    ----------
    S. Nickell, Biases in dynamic models with fixed effects, 1981.

    Examples
    --------
    >>> away = 0.9 ** np.arange(30.0)[:, None] * [3.0, 4.0]
    >>> fit = fit_relaxation([away])
    >>> round(fit.pull, 6), fit.push.round(6).tolist()
    (0.1, [-0.3, -0.4])
    """
    steps = np.concatenate([np.diff(run, axis=0) for run in runs])
    points = np.concatenate([run[:-1] - run[0] for run in runs])
    centred = points - points.mean(axis=0)
    spread = float(np.sum(centred**2))
    found = -float(np.sum(steps * centred)) / spread if spread > 0 else 0.0
    pull = float(np.clip(found, 0.0, 1.0))
    for _ in range(3):  # the residuals depend a little on the pull
        push, noise = _residuals(steps, points, pull)
        squares = np.sum(noise**2, axis=1)
        pull = _unbiased(found, squares / spread, [len(run) - 1 for run in runs]) if spread > 0 else 0.0
    push, noise = _residuals(steps, points, pull)
    known = float(np.sum(push**2))
    by_noise = float(np.sum(noise**2)) / len(noise) ** 2
    push = push * np.sqrt(max(0.0, 1 - by_noise / known)) if known > 0 else push
    return Relaxation(pull, push, tuple(np.split(noise, np.cumsum([len(run) - 1 for run in runs])[:-1])))


def _residuals(steps: Array, points: Array, pull: float) -> tuple[Array, Array]:
    """Return the expected step at the start, and the residuals, rescaled for the subtracted mean."""
    total = steps + pull * points
    push = total.mean(axis=0)
    return push, (total - push) * np.sqrt(len(total) / (len(total) - 1))


def _unbiased(found: float, squares: Array, lengths: Sequence[int]) -> float:
    """Find the pull for which least squares is expected to give the observed fit."""
    left = np.concatenate([np.arange(n - 1, -1, -1) for n in lengths])  # points after each step

    def excess(pull: float) -> float:
        moved = (
            left if pull == 0 else (1 - (1 - pull) ** left) / pull
        )  # contribution of a unit of noise to the later points
        return pull + float(np.sum(squares * moved)) / len(left) - found

    if excess(0.0) >= 0:
        return 0.0
    return 1.0 if excess(1.0) <= 0 else float(brentq(excess, 0.0, 1.0, xtol=1e-9))
