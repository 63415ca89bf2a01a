"""Whether the valley of a run is steeper on one side: the loss across its averaged end."""

from collections.abc import Iterator

import numpy as np

from trajmap._validation import Array, check_count, check_positive, worded
from trajmap.basins.lines import line_profiles
from trajmap.basins.valleys import weighted
from trajmap.data.progress import Progress, counted
from trajmap.data.results.line_profiles import LineProfiles
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["valley_profile"]


def valley_profile(
    objective: Objective,
    trajectory: Trajectory,
    *,
    n_last: int | None = None,
    reach: float = 15.0,
    n_points: int = 41,
    n_random: int = 10,
    random_state: int = 0,
    progress: Progress | None = None,
) -> LineProfiles:
    """Evaluate the loss through the mean of a run's last iterates, along the path and across to its last iterate.

    The mean is the result of stochastic weight averaging. In an asymmetric valley it is on the flat side of the
    iterates, and the loss rises faster towards them than away from them. Random directions of the same length are the
    control: compare ``asymmetries``. This is a reconstruction of the published procedure.

    Parameters
    ----------
    objective : Objective
        The loss.
    trajectory : Trajectory
        The run.
    n_last : int, optional
        Iterates at its end; the last fifth by default.
    reach : float
        Length of the lines on each side, in units of the distance of the last iterate from the mean.
    n_points : int
        Positions on each line.
    n_random : int
        Random directions.
    random_state : int
        Their seed.
    progress : callable, optional
        Called with the lines done and their number.

    Returns
    -------
    LineProfiles
        Curves named ``"mean direction of the path"`` (from the first iterate of the window to the last),
        ``"to the last iterate"`` and ``"random 1"``, …; offset 1 is the distance of the last iterate from the mean.

    Raises
    ------
    InputError
        If the window has fewer than three iterates or more than the run, or its iterates are all equal.

    References
    ----------
    H. He, G. Huang, Y. Yuan, Asymmetric valleys: beyond sharp and flat local minima, 2019.

    Examples
    --------
    >>> import torch
    >>> def steep(m, x):
    ...     return torch.where(m(x)[0] > 0, 3 * m(x)[0], -m(x)[0]).sum() + m(x)[1].square().sum()
    >>> kinked = Objective(torch.nn.Linear(2, 1, bias=False), steep, [torch.eye(2)])
    >>> run = Trajectory.of(np.array([[-1.0, 0], [-0.5, 0], [1.5, 0]]), layout=kinked.layout)
    >>> valley_profile(kinked, run, n_last=3, n_random=1).asymmetries[:2].round(2).tolist()
    [0.5, 0.5]
    """
    objective = objective.along(trajectory)
    T = trajectory.n_iterates
    n_last = max(3, T // 5) if n_last is None else n_last
    if not 3 <= n_last <= T:
        raise InputError(worded("n_last", f"3 to {T} iterates", n_last))
    iterates = trajectory.take(np.arange(T - n_last, T)).iterates
    mean = weighted(iterates, np.full(n_last, 1 / n_last))
    first, last = (trajectory.theta(i).astype(np.float64) for i in (T - n_last, T - 1))
    length = float(np.linalg.norm(last - mean))
    if not length or np.array_equal(first, last):
        raise InputError(worded("trajectory", "a run that moves in the window", "equal iterates"))
    rng = np.random.default_rng(random_state)
    randoms = check_count("n_random", n_random, low=0)
    offsets = check_positive("reach", reach) * np.linspace(-1, 1, check_count("n_points", n_points, low=5))

    def directions() -> Iterator[tuple[str, Array]]:
        yield "mean direction of the path", last - first
        yield "to the last iterate", last - mean
        for i in range(randoms):
            yield f"random {i + 1}", rng.standard_normal(objective.size)

    scaled = ((name, length / np.linalg.norm(row) * row) for name, row in counted(directions(), progress, 2 + randoms))
    return line_profiles(objective, mean, scaled, offsets, through=f"the mean of the last {n_last} iterates")
