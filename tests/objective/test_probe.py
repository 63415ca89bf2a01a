"""An objective that is no function of its own parameters is found out when it is made; sound ones are let pass."""

import functools
import warnings

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from trajmap.errors import InputError
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective

F = torch.nn.functional


def classifier(seed=0, wide=16):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, wide), torch.nn.ReLU(), torch.nn.Linear(wide, 3))


def data(n=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator), torch.randint(0, 3, (n,), generator=generator)


CE = supervised(F.cross_entropy)


def test_a_loss_of_the_outer_model_is_refused():
    model = classifier()
    with pytest.raises(
        InputError, match=r"loss: expected a function of the parameters .* repair: use the model passed to the loss"
    ):
        Objective(model, lambda m, b: F.cross_entropy(model(b[0]), b[1]), [data()])
    Objective(model, lambda m, b: F.cross_entropy(model(b[0]), b[1]), [data()], check=False)


class Helper:
    """Holds a copy of the weights, as a merge in eval() does."""

    def __init__(self, weight):
        self.weight = weight.detach().clone()


class Merged(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.low, self.high = torch.nn.Linear(4, 8), torch.nn.Linear(8, 2), torch.nn.Linear(2, 3)
        self.merged = None

    def train(self, mode=True):
        if not mode and self.training:
            self.merged = Helper(self.high.weight @ self.low.weight)
        return super().train(mode)

    def forward(self, x):
        x = self.first(x)
        return x @ self.merged.weight.T if not self.training else self.high(self.low(x))


class Detached(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)).detach())


class OwnBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -0.1 * grad


class Reversed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.second(OwnBackward.apply(self.first(x)))


class TwoFaced(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) * (1.0 if torch.is_grad_enabled() else 2.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Detached, r"changes with first.weight, first.bias, got zero"),
        (Reversed, r"expected a gradient equal to the slope of the loss"),
        (TwoFaced, r"one value with and without gradients"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_that_are_not_the_slope_are_named(make, message, dtype):
    torch.manual_seed(0)
    x, y = data()
    with pytest.warns(UserWarning, match=message):
        Objective(make().to(dtype), CE, [(x.to(dtype), y)])


def test_merged_weights_are_refused_when_they_are_all_that_moves():
    torch.manual_seed(0)
    model = Merged()
    model.first.requires_grad_(requires_grad=False)
    with pytest.raises(InputError, match="expected a function of the parameters"):
        # what moves was merged when the copy was put into evaluation mode
        Objective(model, lambda m, b: CE(m, b) + 0 * m.high.weight.sum(), [data()])


class Reentrant(torch.nn.Module):
    """Its first block is checkpointed, and its input has no gradient: torch's own gives the block none, silently."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh())
        self.out = torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.out(checkpoint(self.body, x, use_reentrant=True))


def test_reentrant_checkpoints_have_gradients():
    torch.manual_seed(0)
    model, (x, y) = Reentrant(), data()
    objective = Objective(model, CE, [(x, y)])
    loss = F.cross_entropy(model.out(model.body(x)), y)
    grads = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(model.parameters()))])
    torch.testing.assert_close(objective.gradient(torch.tensor(objective.theta)), grads)


def with_unused():
    model = classifier()
    model.unused = torch.nn.Parameter(torch.ones(3))
    return model


def lora():
    """The second factor is zero, so the first has no gradient at the start."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 2, bias=False), torch.nn.Linear(2, 3, bias=False))
    model[1].weight.data.zero_()
    return model


def dead():
    model = classifier()
    model[0].bias.data[:8] = -100
    return model


def normed():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3))


def trained():
    """A loss of 1e-7 or so, where rounding is large."""
    model, (x, y) = classifier(wide=64), data()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def scaled(by):
    model = classifier()
    for parameter in model.parameters():
        parameter.data *= by
    return model


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "make",
    [classifier, with_unused, lora, dead, normed, trained, *(functools.partial(scaled, by) for by in (1e-4, 1e3, 0))],
)
def test_sound_models_are_let_pass(make, dtype):
    x, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make().to(dtype)
        Objective(model, lambda m, b: F.cross_entropy(m(b[0]).float(), b[1]), [(x.to(dtype), y)])
        Objective(model, lambda m, b: 1e-12 * m(b[0]).float().square().mean(), [(x.to(dtype), y)])
        Objective(model, lambda m, b: 1e6 + m(b[0]).float().square().mean(), [(x.to(dtype), y)])


@pytest.mark.parametrize("seed", range(20))
def test_narrow_networks_with_kinks_are_let_pass(seed):
    """One sample and three units: a kink lies near more often than in any real network."""
    model, (x, y) = classifier(seed, wide=3), data()
    Objective(model, CE, [(x[seed : seed + 1], y[seed : seed + 1])])


def test_a_share_of_hits_can_be_evaluated():
    objective = Objective(classifier(), lambda m, b: 1 - accuracy(m, b), [data()])
    assert 0 <= objective.value(objective.theta) <= 1


def test_probing_leaves_the_copy_at_the_models_own_point():
    model = classifier()
    objective = Objective(model, CE, [data()])
    own = dict(model.named_parameters())
    assert all(torch.equal(own[name], p) for name, p in objective.model.named_parameters())
