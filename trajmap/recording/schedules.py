"""When to record: a schedule is a callable ``(step, moved) -> bool``.

`step` counts the optimizer's steps from 1; `moved()` is the distance from the last recorded iterate relative to its
norm, computed only when it is called.
"""

from collections.abc import Callable, Iterable

from trajmap._validation import check_count, check_positive

__all__ = ["Schedule", "at_steps", "by_change", "every", "log_spaced"]

Schedule = Callable[[int, Callable[[], float]], bool]


def every(k: int) -> Schedule:
    """Record every `k`-th step.

    Parameters
    ----------
    k : int
        At least 1.

    Returns
    -------
    callable
        The schedule.

    Examples
    --------
    >>> [step for step in range(1, 8) if every(3)(step, float)]
    [3, 6]
    """
    check_count("every", k)
    return lambda step, moved: step % k == 0


def at_steps(steps: Iterable[int]) -> Schedule:
    """Record the listed steps.

    Parameters
    ----------
    steps : iterable of int
        Steps from 1 on.

    Returns
    -------
    callable
        The schedule.

    Examples
    --------
    >>> [step for step in range(1, 8) if at_steps([2, 5])(step, float)]
    [2, 5]
    """
    chosen = {check_count("steps", step) for step in steps}
    return lambda step, moved: step in chosen


def log_spaced(per_decade: int = 10) -> Schedule:
    """Record early steps densely and late ones sparsely: evenly in the logarithm of the step.

    Parameters
    ----------
    per_decade : int
        Iterates between a step and ten times that step, once steps are far enough apart.

    Returns
    -------
    callable
        The schedule.

    Examples
    --------
    >>> [step for step in range(1, 101) if log_spaced(4)(step, float)]
    [1, 2, 3, 6, 10, 18, 32, 56, 100]
    """
    check_count("per_decade", per_decade)

    def schedule(step: int, moved: Callable[[], float]) -> bool:
        # a step is on the grid when the grid's index changes with it
        return _grid_index(step, per_decade) > _grid_index(step - 1, per_decade)

    return schedule


def by_change(relative: float) -> Schedule:
    """Record when the parameters have moved far enough from the last recorded iterate.

    Parameters
    ----------
    relative : float
        Distance relative to the last iterate's norm. Each step costs one pass over the parameters.

    Returns
    -------
    callable
        The schedule; it also records if the distance is NaN, so that divergence is recorded.

    Examples
    --------
    >>> by_change(0.1)(1, lambda: 0.05), by_change(0.1)(1, lambda: 0.2)
    (False, True)
    """
    threshold = check_positive("relative", relative)
    return lambda step, moved: not moved() < threshold


def _grid_index(step: int, per_decade: int) -> int:
    """Largest j with round(10^(j/per_decade)) ≤ step; −1 for step 0."""
    j = -1
    while round(10 ** ((j + 1) / per_decade)) <= step:
        j += 1
    return j
