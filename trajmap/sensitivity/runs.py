"""Sensitivities along a recorded path, and over retrainings."""

from collections.abc import Callable, Sequence

import numpy as np

from trajmap._validation import Array, check_count, worded
from trajmap.data.progress import Progress, counted
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.sensitivity.derivatives import weight_derivatives

__all__ = ["path_sensitivity", "retrained_sensitivity"]

Measure = Callable[[Objective, Array], Sensitivity]


def path_sensitivity(
    objective: Objective,
    trajectory: Trajectory,
    *,
    measure: Measure = weight_derivatives,
    every: int = 1,
    progress: Progress | None = None,
) -> Sensitivity:
    """Differentiate at the iterates of a run.

    Parameters
    ----------
    objective : Objective
        The loss.
    trajectory : Trajectory
        The run.
    measure : callable
        `weight_derivatives`, `input_derivatives`, or ``measure(objective, theta) -> Sensitivity``.
    every : int
        Use every k-th iterate.
    progress : callable, optional
        Called with the iterates done and their number.

    Returns
    -------
    Sensitivity
        One point per iterate.

    Raises
    ------
    LayoutError
        If the trajectory's parameters are not the objective's.
    """
    objective = objective.along(trajectory)
    places = range(0, trajectory.n_iterates, check_count("every", every))
    found = [measure(objective, trajectory.theta(i)) for i in counted(places, progress)]
    return Sensitivity(np.concatenate([one.values for one in found]), found[0].names)


def retrained_sensitivity(
    objective: Objective,
    thetas: Sequence[Array],
    *,
    measure: Measure = weight_derivatives,
    progress: Progress | None = None,
) -> Sensitivity:
    """Differentiate at the ends of several trainings, to compare retrainings.

    Parameters
    ----------
    objective : Objective
        The loss.
    thetas : sequence of array-like of shape (P,)
        Ends of trainings.
    measure : callable
        As for `path_sensitivity`.
    progress : callable, optional
        Called with the trainings done and their number.

    Returns
    -------
    Sensitivity
        One point per training; compare them by ``rank_agreement``. This measures the published claim that each
        retraining gives new information.

    Raises
    ------
    InputError
        If there is no training.
    """
    if not len(thetas):
        raise InputError(worded("thetas", "at least one training", "none"))
    found = [measure(objective, theta) for theta in counted(thetas, progress)]
    return Sensitivity(np.concatenate([one.values for one in found]), found[0].names)
