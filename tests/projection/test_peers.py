"""The same plane evaluated by another package."""

import copy

import numpy as np
import pytest
import torch

from trajmap.data.results.landscape import Grid
from trajmap.directions.interpolation import interpolation_plane
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")
def test_values_equal_those_of_loss_landscapes():
    """Its rows hold columns 1…n and 0…n−1 in turn, and it moves the model it is given; the losses are the same."""
    peer = pytest.importorskip("loss_landscapes")
    metrics = pytest.importorskip("loss_landscapes.metrics")
    models = []
    for seed in range(3):
        torch.manual_seed(seed)
        models.append(torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)))
    x, y = torch.randn(60, 5), torch.randint(3, (60,))
    loss = torch.nn.functional.cross_entropy
    objective = Objective(models[0], supervised(loss), [(x, y)])
    points = [torch.nn.utils.parameters_to_vector(m.parameters()).detach().numpy() for m in models]
    n = 6
    theirs = peer.planar_interpolation(*map(copy.deepcopy, models), metrics.Loss(loss, x, y), steps=n)
    axis = np.arange(n + 1) / n
    ours = surface(objective, interpolation_plane(*points), Grid((axis, axis))).values
    for i, row in enumerate(theirs):
        np.testing.assert_allclose(row, ours[i, 1:] if i % 2 == 0 else ours[i, :-1], rtol=2e-5)
