"""Runs as functions: probabilities on probes, Bhattacharyya distances, intensive PCA."""

import copy

import numpy as np
import pytest
import torch

from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError
from trajmap.objective.predictions import root_probabilities
from trajmap.recording.recorder import Recorder
from trajmap.reduction.information import bhattacharyya_distances, intensive_pca


def recorded(folder, steps=6):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    outputs, probes = [], torch.randn(7, 3)

    def look():
        twin = copy.deepcopy(model).eval()
        outputs.append(twin(probes).softmax(dim=1).sqrt().detach().numpy())

    look()
    with Recorder(model, folder).attach(optimizer):
        for _ in range(steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(torch.randn(16, 3)), torch.randint(4, (16,))).backward()
            optimizer.step()
            look()
    return model, probes, np.array(outputs)


def test_probabilities_are_those_of_the_iterates_in_their_time(tmp_path):
    model, probes, expected = recorded(tmp_path / "run")
    run = Trajectory.open(tmp_path / "run")
    state = copy.deepcopy(model.state_dict())
    rng = torch.random.get_rng_state()
    roots = root_probabilities(model, run, probes)
    np.testing.assert_allclose(roots, expected, atol=1e-6)
    assert not np.allclose(root_probabilities(model, run, probes, buffers=False), expected, atol=1e-3)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), rng)


def test_worded_errors(tmp_path):
    _, probes, _ = recorded(tmp_path / "run", steps=1)
    run = Trajectory.open(tmp_path / "run")
    with pytest.raises(LayoutError, match="trajectory"):
        root_probabilities(torch.nn.Sequential(torch.nn.Linear(3, 6)), run, probes)
    with pytest.raises(InputError, match="logits of shape"):
        root_probabilities(torch.nn.Linear(3, 1), Trajectory.of(np.zeros((2, 4))), probes)
    with pytest.raises(InputError, match="the model's 4 parameters"):
        root_probabilities(torch.nn.Linear(3, 1), Trajectory.of(np.zeros((2, 5))), probes)
    with pytest.raises(InputError, match="sum to one"):
        bhattacharyya_distances(np.ones((2, 3, 2)))
    excluded = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert np.isinf(bhattacharyya_distances(excluded)[0, 1])
    with pytest.raises(InputError, match="share a class of positive probability"):
        intensive_pca(excluded)


def test_distances_by_brute_force():
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 6))
    expected = [[-np.mean([np.log(np.sum(np.sqrt(a[n] * b[n]))) for n in range(6)]) for b in p] for a in p]
    np.testing.assert_allclose(bhattacharyya_distances(np.sqrt(p)), expected, atol=1e-12)


def test_minkowski_distances_are_bhattacharyya_distances():
    p = np.random.default_rng(1).dirichlet(np.ones(3), size=(8, 5))
    found = intensive_pca(np.sqrt(p), 8)
    coordinates, values = found.coordinates, found.eigenvalues
    difference = coordinates[:, None] - coordinates[None]
    squares = np.sum(np.sign(values) * difference**2, axis=2)
    np.testing.assert_allclose(squares, bhattacharyya_distances(np.sqrt(p)), atol=1e-10)
