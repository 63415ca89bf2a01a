"""Common checks and preparations of the claims about the shape of a run."""

import numpy as np

from trajmap._validation import Array, check_array
from trajmap.data.claim import ALPHA
from trajmap.data.gram import isometric_coordinates
from trajmap.data.store.iterates import Iterates
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.scores.surrogates import check_size

__all__ = ["FEWEST", "MOST", "coordinates", "evenly", "finite_coordinates", "lack"]

FEWEST = 12
"""Minimum number of iterates for a claim."""
MOST = 256
"""Longer runs are thinned evenly to at most this many iterates: the cost of a claim grows as its square or cube."""


def coordinates(run: Trajectory | Array, size: int | None) -> tuple[Array, int]:
    """Isometric coordinates of a run, and P; all NaN if an iterate is not finite."""
    if not isinstance(run, Trajectory):
        return check_array("run", run, (None, None), dtype=np.float64), check_size(size)
    return finite_coordinates(run.iterates), check_size(run.size if size is None else size)


def finite_coordinates(iterates: Iterates | Array) -> Array:
    """Isometric coordinates of iterates; all NaN if one of them is not finite."""
    try:
        return isometric_coordinates(iterates)
    except InputError:  # not finite, or with squares that are not
        return np.full((len(iterates), 1), np.nan)


def evenly(n: int, most: int = MOST) -> slice:
    """Every k-th of n iterates from the first on, with k such that at most the given number remain."""
    return slice(None, None, -(-n // most))


def lack(X: Array, n_draws: int, tried: int) -> str:
    """Reason why a claim about these coordinates cannot be tested; empty if it can."""
    if tried / (n_draws + 1) > ALPHA:
        return f"{n_draws} draws cannot give p ≤ {ALPHA}; {int(np.ceil(tried / ALPHA)) - 1} can"
    if len(X) < FEWEST:
        return f"{len(X)} iterates; {FEWEST} or more are needed"
    if not np.isfinite(X).all():
        return "some iterates are not finite; finite() removes them"
    if not np.ptp(X, axis=0).any():
        return "the iterates are all equal"
    return ""
