"""Every strategy gives the values of a dumb loop that sets weights and runs the model."""

import copy

import numpy as np
import pytest
import torch

from trajmap.data.frame import Frame
from trajmap.errors import InputError
from trajmap.objective import tuning
from trajmap.objective.batch_copies import fixed_batches
from trajmap.objective.evaluator import Evaluator
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.points import ArrayPoints
from trajmap.objective.rules import by_samples
from trajmap.objective.splitting import split_batches
from trajmap.objective.strategy import PLAIN, Strategy
from trajmap.objective.tuning import choose_strategy, evaluator, suits
from trajmap.objective.weights import Weighing

nn, F = torch.nn, torch.nn.functional
CE = supervised(F.cross_entropy)


def labels(n, classes=4):
    return torch.randint(classes, (n,), generator=torch.Generator().manual_seed(3))


def mlp():
    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 4)), torch.randn(50, 6)


def cnn():
    layers = nn.Conv2d(1, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2)
    more = nn.Conv2d(5, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6, 4)
    return nn.Sequential(*layers, *more), torch.randn(50, 1, 9, 9)


class Tied(nn.Module):
    """Two inputs towers, a skip, and a weight used twice: what a combination of first layers must see through."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.shared = nn.Linear(3, 5), nn.Linear(3, 5), nn.Linear(5, 5)
        self.out = nn.Linear(5, 4)

    def forward(self, x):
        h = torch.relu(self.left(x[:, :3])) + self.right(x[:, 3:]).relu()
        return self.out(h + self.shared(torch.tanh(self.shared(h))))


class Detached(nn.Module):
    """The input of the second layer depends on the parameters though no gradient says so."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 4)

    def forward(self, x):
        return self.second(self.first(x).detach())


MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "tied": lambda: (Tied(), torch.randn(50, 6)),
    "frozen": lambda: (frozen(), torch.randn(50, 6)),
}
STRATEGIES = {
    "cheaper": Strategy(cheaper=True),
    "oneDNN": Strategy(onednn=True),
    "channels last": Strategy(channels_last=True),
    "samples": Strategy(batch_size=16),
    "planes": Strategy(planes=True),
    "vmap": Strategy(points=4),
    "all": Strategy(cheaper=True, onednn=True, channels_last=True, batch_size=7, planes=True),
}


def frozen():
    model, _ = mlp()
    model[0].weight.requires_grad_(False)
    return model


def problem(name):
    torch.manual_seed(0)
    model, x = MODELS[name]()
    model(x)  # BatchNorm gathers something
    batches = [(x[:30], labels(30)), (x[30:], labels(20))]
    objective = Objective(model, CE, batches, metrics={"accuracy": accuracy})
    directions = 0.3 * np.random.default_rng(0).normal(size=(2, objective.size))
    return model, batches, objective, Frame(objective.theta, directions)


def evaluated(objective, strategy, thetas, frame=None, Z=None):
    return evaluator(objective, strategy, frame).evaluate(ArrayPoints(thetas), Z)


def dumb(model, batches, layout, thetas):
    twin = copy.deepcopy(model).eval()
    losses = []
    for theta in thetas:
        for name, part in layout.split(theta).items():
            twin.get_parameter(name).data.copy_(torch.tensor(part))
        with torch.no_grad():
            x, y = torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches])
            losses.append(F.cross_entropy(twin(x), y).item())
    return np.array(losses)


@pytest.mark.parametrize("model_name", MODELS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_equals_a_dumb_loop(name, model_name):
    model, batches, objective, frame = problem(model_name)
    Z = np.random.default_rng(1).normal(size=(10, 2))
    thetas = frame.points(Z)
    strategy = STRATEGIES[name]
    if model_name == "frozen" and strategy.planes:
        with pytest.raises(InputError, match="does not depend on the parameters"):
            evaluator(objective, strategy, frame)
        return
    found = evaluator(objective, strategy, frame).evaluate(ArrayPoints(thetas), Z)
    np.testing.assert_allclose(found["loss"], dumb(model, batches, objective.layout, thetas), rtol=1e-6)
    np.testing.assert_allclose(found["accuracy"], objective.evaluate(thetas)["accuracy"], rtol=1e-14)
    buffers = dict(objective.model.named_buffers())
    assert all(torch.equal(buffers[key], value) for key, value in model.named_buffers()), "the state is left"


def test_nan_and_inf_are_kept_by_every_strategy():
    _, _, objective, frame = problem("mlp")
    Z = np.array([[0.0, 0.0], [1e30, 0.0]])
    for strategy in STRATEGIES.values():
        loss = evaluated(objective, strategy, frame.points(Z), frame, Z)["loss"]
        assert np.isfinite(loss[0])
        assert not np.isfinite(loss[1])


def test_left_out_targets_are_left_out():
    torch.manual_seed(0)
    y = torch.tensor([0, 1, -100, 2])
    model, x = nn.Linear(3, 3), torch.randn(4, 3)
    for criterion in (F.cross_entropy, nn.CrossEntropyLoss()):
        objective = Objective(model, supervised(criterion), [(x, y)])
        found = evaluated(objective, Strategy(cheaper=True), objective.theta[None])["loss"]
        assert found[0] == pytest.approx(objective.value(objective.theta), rel=1e-6)


def chosen(objective, thetas, Z=None, frame=None):
    return choose_strategy(objective, ArrayPoints(thetas), Z, frame)


@pytest.mark.parametrize("name", MODELS)
def test_the_choice_gives_the_same_values_whatever_it_is(name, monkeypatch):
    monkeypatch.setattr(tuning, "_SHARE", 1e6)
    monkeypatch.setattr(tuning, "_WORTH", 0)
    _, _, objective, frame = problem(name)
    Z = np.random.default_rng(1).normal(size=(3, 2))
    choice = chosen(objective, frame.points(Z), Z, frame)
    far = np.random.default_rng(2).normal(size=(6, 2)) * 2
    thetas = frame.points(far)
    np.testing.assert_allclose(
        evaluated(objective, choice, thetas, frame, far)["loss"], objective.values(thetas), rtol=1e-6
    )


def test_a_few_points_are_not_worth_a_trial_and_a_choice_is_remembered(monkeypatch):
    _, _, objective, frame = problem("mlp")
    asked = []
    monkeypatch.setattr(tuning, "_options", lambda objective, *, flat: asked.append(1) or iter([]))
    Z = np.zeros((100, 2))
    assert chosen(objective, frame.points(Z), Z, frame) == PLAIN
    assert not asked, "three hundredths of a hundred points are three"
    Z = np.zeros((1000, 2))
    for _ in range(3):
        chosen(objective, frame.points(Z), Z, frame)
    assert len(asked) == 1


def eager(monkeypatch, wish):
    """Make one strategy look fast, so that only its values can refuse it."""
    monkeypatch.setattr(tuning, "_SHARE", 1e6)
    monkeypatch.setattr(tuning, "_WORTH", 0)
    monkeypatch.setattr(tuning, "_options", lambda objective, *, flat: iter([wish]))
    monkeypatch.setattr(tuning, "_GAIN", 1e6)


def test_a_strategy_with_other_values_is_refused(monkeypatch):
    torch.manual_seed(0)
    x, y = torch.randn(50, 6), labels(50)
    objective = Objective(Detached(), CE, [(x, y)], check=False)  # its gradient is cut on purpose
    frame = Frame(objective.theta, np.random.default_rng(0).normal(size=(1, objective.size)))
    Z = np.array([[0.0], [0.5], [1.0]])
    eager(monkeypatch, {"planes": True})
    assert chosen(objective, frame.points(Z), Z, frame) == PLAIN
    worst = Objective(nn.Linear(6, 4), lambda m, b: (m(b[0]) ** 2).mean(dim=1).max(), [(x, y)])
    eager(monkeypatch, {"batch_size": 16})
    assert chosen(worst, np.zeros((1, 28)) + 1) == PLAIN, "a maximum is not a mean of pieces' maxima"
    eager(monkeypatch, {"batch_size": 16})
    mean = Objective(nn.Linear(6, 4), lambda m, b: (m(b[0]) ** 2).mean(), [(x, y)])
    assert chosen(mean, np.zeros((1, 28)) + 1).batch_size == 16


def test_a_forward_that_writes_to_buffers_is_evaluated_the_plain_way():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.linear(x)

    objective = Objective(Counting(), CE, [(torch.randn(5, 2), torch.zeros(5, dtype=torch.long))])
    assert not suits(objective, Strategy(cheaper=True))
    with pytest.raises(InputError, match="a forward pass that keeps no state, got one that does"):
        Evaluator(objective.parts, Strategy(cheaper=True))
    assert chosen(objective, objective.theta[None]) == PLAIN


def test_a_loss_with_derivatives_inside():
    """A physics-informed network: u'' through the model."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()

    def residual(model, x):
        x = x.clone().requires_grad_()
        u = model(x)
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), x, create_graph=True)
        return (ddu + u).square().mean()

    objective = Objective(net, residual, [torch.linspace(0, 3, 20, dtype=torch.float64)[:, None]])
    thetas = objective.theta + np.random.default_rng(0).normal(size=(4, objective.size))
    W, b, v = (p.detach() for p in list(net.parameters())[:3])
    x = torch.linspace(0, 3, 20, dtype=torch.float64)[:, None]
    t = torch.tanh(x @ W.T + b)
    u = t @ v.T + net[2].bias.detach()
    ddu = (-2 * t * (1 - t**2) * W.T**2) @ v.T
    assert objective.value(objective.theta) == pytest.approx(float((ddu + u).square().mean()), rel=1e-12)
    found = evaluated(objective, Strategy(batch_size=8), thetas)["loss"]
    np.testing.assert_allclose(found, objective.values(thetas), rtol=1e-12)
    assert not suits(objective, Strategy(onednn=True))


def test_batches_are_split():
    x, y = torch.arange(10.0)[:, None], torch.arange(10)
    batches = fixed_batches([{"x": x, "y": [y], "scale": torch.tensor(2.0), "name": "a"}])
    weighing = Weighing([1.0], by_samples())
    pieces, weights = split_batches(batches, weighing, 4)
    assert weights == [0.4, 0.4, 0.2]
    assert torch.equal(torch.cat([piece["y"][0] for piece in pieces]), y)
    assert all(piece["scale"] == 2 and piece["name"] == "a" for piece in pieces)
    mixed = fixed_batches([(x, torch.zeros(2, 7))])
    assert len(split_batches(mixed, weighing, 4, strict=False)[0]) == 1
    with pytest.raises(InputError, match=r"samples along their first axis, got \(10, 1\), \(2, 7\)"):
        split_batches(mixed, weighing, 4)


def test_layers_that_more_acts_on_stay_as_they_are():
    """A hook and a forward of a layer's own are part of the model: no layer of ours takes its place."""
    model, batches, _, _ = problem("mlp")
    model[0].register_forward_hook(lambda layer, inputs, out: torch.sin(out))
    model[2].forward = lambda x, layer=model[2]: 2 * F.linear(x, layer.weight)
    objective = Objective(model, CE, batches, check=False)
    directions = 0.1 * np.random.default_rng(0).normal(size=(2, objective.size))
    frame, Z = Frame(objective.theta, directions), np.random.default_rng(1).normal(size=(5, 2))
    expected = objective.values(frame.points(Z))
    for name, strategy in STRATEGIES.items():
        try:
            found = evaluated(objective, strategy, frame.points(Z), frame, Z)["loss"]
        except InputError:
            continue
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)
