"""Dimensions with known answers, and why time-ordered points need a window."""

import numpy as np
import pytest

from trajmap.errors import InputError
from trajmap.scores.dimension import (
    correlation_dimension,
    likelihood_dimension,
    participation_ratio,
    two_nn_dimension,
)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_uniform_cubes(d):
    X = (
        np.random.default_rng(0).uniform(size=(1200, d))
        @ np.linalg.qr(np.random.default_rng(1).normal(size=(8, d)))[0].T
    )
    assert two_nn_dimension(X) == pytest.approx(d, rel=0.12)
    assert likelihood_dimension(X) == pytest.approx(d, rel=0.15)
    assert correlation_dimension(X) == pytest.approx(d, rel=0.2)


def test_a_brownian_path_has_dimension_two_and_its_successive_points_do_not_say_so():
    X = np.cumsum(np.random.default_rng(0).normal(size=(1500, 500)), axis=0)
    assert correlation_dimension(X) == pytest.approx(2, abs=0.15)
    line = np.linspace(0, 1, 400)[:, None] ** 1.001
    assert two_nn_dimension(line) > 100, "the two nearest are the step before and the step after: useless"


def test_participation_ratio():
    X = np.random.default_rng(0).normal(size=(5000, 4)) * [1, 1, 0.01, 0.01]
    assert participation_ratio(X) == pytest.approx(2, abs=0.05)
    with pytest.raises(InputError, match="points that differ"):
        participation_ratio(np.ones((4, 2)))


@pytest.mark.parametrize("dimension", [two_nn_dimension, likelihood_dimension, correlation_dimension])
def test_points_that_repeat_count_once(dimension):
    """A run that stands still for a while has the dimension of where it was."""
    X = np.random.default_rng(0).uniform(size=(300, 2))
    assert dimension(np.concatenate([X, X[::3]])) == dimension(X)
    assert dimension(np.repeat(X, 4, axis=0)) == dimension(X)


def test_windows_are_those_of_the_times_that_were():
    X = np.random.default_rng(0).uniform(size=(200, 2))
    spread = np.repeat(X, 3, axis=0)
    assert two_nn_dimension(spread, theiler_window=3) == two_nn_dimension(X, theiler_window=1)


def test_a_regular_grid_has_no_ratio_of_neighbours():
    with pytest.raises(InputError, match="neighbours at different distances"):
        two_nn_dimension(np.stack(np.meshgrid(range(6), range(6)), axis=-1).reshape(-1, 2))


def test_worded_errors():
    with pytest.raises(InputError, match="theiler_window: expected one that leaves 20 neighbours"):
        likelihood_dimension(np.random.default_rng(0).normal(size=(30, 2)), theiler_window=10)
    with pytest.raises(InputError, match="enough pairs"):
        correlation_dimension(np.ones((4, 2)))
