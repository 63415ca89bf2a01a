"""Whether a run moved with direction: farther than steps of the same norms without a common direction."""

import itertools

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.claim import Claim
from trajmap.data.progress import Progress, counted
from trajmap.data.trajectory import Trajectory
from trajmap.scores.claim_inputs import coordinates, evenly, lack
from trajmap.scores.null import isotropic_steps, signed_steps

__all__ = ["moved_with_direction"]

NAME = "moved with direction"
NULLS = ("isotropic steps of the same norms", "steps with random signs")


def moved_with_direction(
    run: Trajectory | Array,
    *,
    size: int | None = None,
    n_draws: int = 99,
    tried: int = 1,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Claim:
    """Test whether the end is farther from the start than the run's step norms alone explain.

    The effect is ‖x_T − x_0‖² / Σ‖step‖². It is 1 on average for steps of independent directions and any norms, T − 1
    for a straight line at constant speed, and less than 1 for a run that turns back. Isotropic steps test against
    chance in R^P; random signs test against chance in the directions that the run uses. Steps with memory of a few
    earlier ones, for example noise with momentum, also move farther, and this counts as direction.

    Parameters
    ----------
    run : Trajectory or array-like, shape (T, r)
        A run, or isometric coordinates of one.
    size : int, optional
        P; required with coordinates.
    n_draws : int
        Number of surrogates per null.
    tried : int
        Number of alternatives from which the best was chosen.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the surrogates done and their number.

    Returns
    -------
    Claim
        Parts: ``displacement``, ``length`` of the path, and their ratio ``straightness``.

    Raises
    ------
    InputError
        If coordinates are given without `size`.

    Examples
    --------
    >>> line = np.outer(np.arange(30.0), np.ones(5))
    >>> claim = moved_with_direction(line, size=10_000)
    >>> round(claim.value, 6), claim.p.tolist(), claim.holds
    (29.0, [0.01, 0.01], 'yes')
    """
    X, size = coordinates(run, size)
    reason = lack(X, check_count("n_draws", n_draws), check_count("tried", tried))
    if reason:
        return Claim.untested(NAME, reason, NULLS, tried=tried)
    rng = np.random.default_rng(random_state)
    steps = np.diff(X[evenly(len(X))], axis=0)
    value = _excess(steps)
    norms = np.linalg.norm(steps, axis=1)
    drawn = counted(range(2 * n_draws), progress)
    isotropic = [_excess(isotropic_steps(rng, norms, size)) for _ in itertools.islice(drawn, n_draws)]
    flipped = [_excess(signed_steps(rng, steps)) for _ in drawn]
    displacement, length = float(np.linalg.norm(steps.sum(axis=0))), float(norms.sum())
    parts = {"displacement": displacement, "length": length, "straightness": displacement / length}
    return Claim(NAME, value, np.array([isotropic, flipped]), NULLS, tried=tried, parts=parts)


def _excess(steps: Array) -> float:
    # rounded, so that surrogates equal to the run tie with it
    return round(float(np.sum(steps.sum(axis=0) ** 2) / np.sum(steps**2)), 9)
