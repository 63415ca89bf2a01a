"""Surfaces in bfloat16: near the exact ones, and honest about how near."""

import re

import numpy as np
import pytest
import torch

from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid
from trajmap.errors import InputError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface


def problem():
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
    x, y = torch.randn(64, 1, 8, 8), torch.randint(4, (64,))
    objective = Objective(torch.nn.Sequential(*layers), supervised(torch.nn.functional.cross_entropy), [(x, y)])
    directions = 0.1 * np.random.default_rng(0).normal(size=(2, objective.size))
    return objective, Plane(objective.theta, directions), Grid((np.linspace(-1, 1, 7),) * 2)


def test_the_error_is_measured_and_said():
    objective, plane, grid = problem()
    exact, quick = surface(objective, plane, grid), surface(objective, plane, grid, precision="bfloat16")
    error = np.max(np.abs(quick.values / exact.values - 1))
    assert 1e-6 < error < 0.05, "eight bits of a fraction, averaged over samples"
    told = float(re.search(r"relative error ([\d.e+-]+) at 9 grid points", quick.strategy).group(1))
    assert error / 10 < told <= 1.05 * error, "what is said is the largest of nine of these cells"
    assert "bfloat16" not in exact.strategy
    np.testing.assert_array_equal(surface(objective, plane, grid).values, exact.values, "nothing is left switched on")


def test_other_words_are_refused():
    objective, plane, grid = problem()
    with pytest.raises(InputError, match="precision: expected one of 'bfloat16', got half"):
        surface(objective, plane, grid, precision="half")
