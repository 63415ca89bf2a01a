"""What is left out of the units of a network, what moves with them, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from trajmap.basins.barriers import barrier, barrier_matrix
from trajmap.basins.matching import match_weights, permute, permute_buffers
from trajmap.basins.permuted_copies import permutation_paths
from trajmap.basins.unit_group import UnitGroup
from trajmap.basins.units import unit_groups
from trajmap.errors import InputError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective


def normalised(*, affine=True, seed=0):
    """A network with the statistics of a training, and its data."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, affine=affine), nn.ReLU(), nn.Linear(6, 3)).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    for _ in range(20):
        model(3 * torch.randn(32, 4, dtype=torch.float64) + 1)
    x = torch.randn(64, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    return model.eval(), x


def objective_of(model, x, **options):
    with torch.no_grad():
        y = model(x)
    return Objective(model, supervised(nn.functional.mse_loss), [(x, y)], **options)


ORDER = np.array([3, 0, 5, 1, 2, 4])


def test_statistics_that_stay_are_taken_up_by_weight_and_bias():
    """γ(x − μ)/σ + β with the place's own μ and σ: worked out here unit by unit."""
    model, x = normalised()
    objective = objective_of(model, x)
    (group,) = unit_groups(objective)
    moved = objective.layout.split(permute(objective.theta, objective.layout, [group], [ORDER]))
    norm = model[1]
    mean, std = norm.running_mean.numpy(), np.sqrt(norm.running_var.numpy() + norm.eps)
    weight, bias = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    for place, unit in enumerate(ORDER):
        slope = weight[unit] / std[unit]
        assert moved["1.weight"][place] == pytest.approx(slope * std[place])
        assert moved["1.bias"][place] == pytest.approx(bias[unit] - slope * (mean[unit] - mean[place]))
    np.testing.assert_array_equal(moved["0.weight"], model[0].weight.detach().numpy()[ORDER])
    np.testing.assert_array_equal(moved["3.weight"], model[3].weight.detach().numpy()[:, ORDER])


def test_buffers_move_beside_the_weights():
    model, x = normalised()
    objective = objective_of(model, x)
    groups = unit_groups(objective, move_buffers=True)
    own = {name: b.numpy() for name, b in model.named_buffers()}
    theta = permute(objective.theta, objective.layout, groups, [ORDER])
    buffers = permute_buffers(own, groups, [ORDER])
    np.testing.assert_array_equal(buffers["1.running_var"], own["1.running_var"][ORDER])
    np.testing.assert_array_equal(theta, np.concatenate([  # the weights are only put in another order
        p.detach().numpy()[i].ravel() for p, i in zip(
            model.parameters(), (ORDER, ORDER, ORDER, ORDER, (slice(None), ORDER), slice(None)), strict=True)
    ]))  # fmt: skip
    there = objective.with_buffers(buffers)
    np.testing.assert_allclose(there.outputs(theta, x), objective.outputs(objective.theta, x), atol=1e-12)
    assert objective.value(theta) > 1e-3, "with the statistics of other units it is another function"
    found = match_weights(objective.theta, theta, objective.layout, groups)
    matched, orders = found.theta, found.permutations
    np.testing.assert_array_equal(matched, objective.theta)
    np.testing.assert_array_equal(permute_buffers(buffers, groups, orders)["1.running_mean"], own["1.running_mean"])


def test_statistics_computed_anew_need_no_care():
    model, x = normalised()
    objective = objective_of(model, x, re_estimate=True)
    a = objective.theta
    for groups in (unit_groups(objective), unit_groups(model)):  # those of the model were made for kept statistics
        b = permute(a, objective.layout, unit_groups(objective), [ORDER])
        assert objective.value(b) == pytest.approx(objective.value(a), rel=1e-9)
        assert barrier(objective, a, b, groups=groups, n_points=5, n_steps=0).barrier("after matching") < 1e-12


def test_statistics_are_those_of_the_objective():
    """Groups of one network serve an objective with the statistics of another."""
    model, x = normalised()
    objective = objective_of(*normalised(seed=1))
    own = unit_groups(objective)
    b = permute(objective.theta, objective.layout, own, [ORDER])
    assert objective.value(b) == pytest.approx(objective.value(objective.theta), abs=1e-20)
    found = barrier(objective, objective.theta, b, groups=unit_groups(model, x), n_points=5, n_steps=0)
    assert found.barrier("segment") > 1e-3
    assert found.barrier("after matching") < 1e-12
    assert permutation_paths(objective, objective.theta, unit_groups(model, x)[0], (2, 4)).barriers.min() > 0


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: normalised(affine=False)[0], "the buffer 1.running_mean would have to move with them"),
        (lambda: nn.Sequential(nn.Linear(4, 6).requires_grad_(requires_grad=False), nn.Linear(6, 3)),
         "0.weight is not among the parameters of θ"),
        (lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 6)), nn.Linear(6, 3)),
         "_u would have to move with them"),
        (lambda: nn.Sequential(nn.Linear(4, 6), nn.Linear(5, 3)), "could not be run on the inputs generated for it"),
    ],
    ids=["no weight of its own", "frozen", "spectral norm", "no network"],
)  # fmt: skip
def test_what_is_not_known_is_left_out_and_named(make, word):
    found = unit_groups(make())
    assert list(found) == []
    assert word in str(found)
    assert word in found.left_out[0]


class Ranked(nn.Module):
    """Hidden units weighted by their place."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(torch.linspace(0, 1, 6, dtype=x.dtype) * self.first(x))


def test_units_that_meet_constants_or_unknown_operations_are_left_out():
    found = unit_groups(Ranked())
    assert list(found) == []
    assert "6 units of first.weight: it is combined with a constant of the forward pass" in str(found)

    class Transformed(nn.Sequential):
        def forward(self, x):
            return self[1](torch.fft.fft(self[0](x)).real)

    found = unit_groups(Transformed(nn.Linear(4, 6), nn.Linear(6, 3)))
    assert list(found) == []
    assert "is not understood" in str(found)


class ReadByHand(nn.Module):
    """A forward that reads a number out of its weights: only the outputs tell that the units are not free."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(self.first(x).relu()) + self.first.bias.tolist()[0]


def test_a_group_that_changes_the_outputs_is_left_out():
    found = unit_groups(ReadByHand())
    assert list(found) == []
    assert "6 units of first.weight: permuting them changes the outputs by" in str(found)


def test_wrong_groups_are_refused_before_anything_is_measured():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    objective = objective_of(model, torch.randn(32, 4, dtype=torch.float64))
    a = objective.theta
    half = UnitGroup(6, (("0.weight", 0),))
    b = permute(a, objective.layout, [half], [ORDER]) + 0.01
    for ask in (
        lambda: barrier(objective, a, b, groups=[half], n_steps=0),
        lambda: barrier_matrix(objective, np.array([a, b]), groups=[half]),
        lambda: permutation_paths(objective, a, half, (2,)),
    ):
        with pytest.raises(InputError, match=r"groups: expected units whose permutations change nothing.*unit_groups"):
            ask()
    with pytest.raises(InputError, match="permutations: expected each of 0 to 5 once"):
        permute(a, objective.layout, [half], [np.zeros(6, dtype=int)])
    with pytest.raises(InputError, match="groups: expected units of parameters in θ, got also of 9.weight"):
        permute(a, objective.layout, [UnitGroup(6, (("9.weight", 0),))], [ORDER])


def test_looking_changes_nothing():
    model, _ = normalised()
    model.train()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state, fast = torch.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    assert len(unit_groups(model)) == 1
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
