"""Sister runs: runs that share the start of a run."""

from typing import Any

import numpy as np

from trajmap._validation import worded
from trajmap.data.frame import stretches
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError

__all__ = ["require_other", "require_sister"]

_FAR = 3.0  # longest distances of neighbouring iterates: recording of a sister may begin after its first steps


def require_other(trajectory: Trajectory, other: Trajectory, name: str) -> None:
    """Check that a run has the parameters of another run and is not the same run.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    other : Trajectory
        The other run.
    name : str
        The user's name of the argument.

    Raises
    ------
    LayoutError
        If its parameters are different.
    InputError
        If it has the same end as the run, because it is the run itself or a copy.
    """
    trajectory.layout.require(other.layout, name)
    if np.array_equal(trajectory.theta(-1), other.theta(-1)):
        repair = "use a run with another batch order or another start"
        raise InputError(
            worded(name, "another run", "one with the same end, which is this run itself or a copy", repair)
        )


def require_sister(trajectory: Trajectory, sister: Trajectory, name: str = "sister") -> None:
    """Check that a run is a sister: another run of the same parameters that starts at or near an iterate of the run.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    sister : Trajectory
        The other run.
    name : str
        The user's name of the argument.

    Raises
    ------
    LayoutError
        If its parameters are different.
    InputError
        If it is the run itself, or its first iterate is farther from every iterate of the run than three times the
        longest distance between neighbours.

    Examples
    --------
    >>> run = Trajectory.of(np.array([[0.0, 0], [1, 0], [2, 0]]))
    >>> require_sister(run, Trajectory.of(np.array([[0.0, 0], [0, 1], [0, 2]])))
    >>> require_sister(run, Trajectory.of(np.array([[9.0, 9], [9, 8]])))
    Traceback (most recent call last):
    ...
    trajmap.errors.InputError: sister: expected a run that shares this run's start, got one whose first iterate is 11 \
from it, where neighbouring iterates are at most 1 apart; repair: train it from the same weights
    """
    require_other(trajectory, sister, name)
    nearest, longest = _distances(trajectory.iterates, sister.theta(0).astype(np.float64))
    if nearest > _FAR * longest:
        apart = f"neighbouring iterates are at most {longest:.2g} apart"
        got = f"one whose first iterate is {nearest:.2g} from it, where {apart}"
        raise InputError(worded(name, "a run that shares this run's start", got, "train it from the same weights"))


def _distances(iterates: Any, point: Any) -> tuple[float, float]:
    """Distance of a point from the nearest iterate, and the longest between neighbouring iterates."""
    away, steps = np.zeros(len(iterates)), np.zeros(len(iterates) - 1)
    for columns in stretches(len(iterates), len(point)):
        block = np.asarray(iterates[:, columns], dtype=np.float64)
        away += np.square(block - point[columns]).sum(axis=1)
        steps += np.square(np.diff(block, axis=0)).sum(axis=1)
    return float(np.sqrt(away.min())), float(np.sqrt(steps.max()))
