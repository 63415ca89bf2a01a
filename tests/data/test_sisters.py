"""Which runs may stand beside a run."""

import numpy as np
import pytest

from trajmap.data.sisters import require_other, require_sister
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError


def walk(seed, start, n=30):
    return np.asarray(start) + np.vstack([
        np.zeros(8),
        np.cumsum(np.random.default_rng(seed).normal(size=(n, 8)), axis=0),
    ])


def test_sisters_share_a_start_or_part_on_the_way():
    points = walk(0, np.zeros(8))
    run = Trajectory.of(points)
    require_sister(run, Trajectory.of(walk(1, np.zeros(8))))
    require_sister(run, Trajectory.of(walk(1, np.zeros(8))[1:]))  # recorded from its first step on
    require_sister(run, Trajectory.of(walk(2, points[12])))


def test_what_is_no_sister_is_refused_in_words():
    run = Trajectory.of(walk(0, np.zeros(8)))
    with pytest.raises(InputError, match="--sister: expected another run, got one with the same end"):
        require_sister(run, run, "--sister")
    with pytest.raises(InputError, match="mine: expected another run"):
        require_other(run, Trajectory.of(np.array(run.iterates)), "mine")
    stranger = Trajectory.of(walk(1, 40 * np.ones(8)))
    require_other(run, stranger, "other")
    with pytest.raises(InputError, match="sister: expected a run that shares this run's start"):
        require_sister(run, stranger)
    with pytest.raises(LayoutError):
        require_sister(run, Trajectory.of(np.ones((3, 5))))
