"""Every strategy gives the values of a dumb loop that sets weights and runs the model."""

import copy

import numpy as np
import pytest
import torch

from trajmap.data.plane import Plane
from trajmap.errors import InputError
from trajmap.objective.evaluator import Evaluator
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.strategy import IN_PLACE, PLAIN, Strategy, split_batch
from trajmap.objective.tuning import choose_strategy, evaluator, suits

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
    "in place": IN_PLACE,
    "cheaper": Strategy(in_place=True, cheaper=True),
    "oneDNN": Strategy(in_place=True, onednn=True),
    "channels last": Strategy(in_place=True, channels_last=True),
    "samples": Strategy(in_place=True, samples=16),
    "planes": Strategy(in_place=True, planes=True),
    "vmap": Strategy(points=4),
    "all": Strategy(in_place=True, cheaper=True, onednn=True, channels_last=True, samples=7, planes=True),
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
    return model, batches, objective, Plane(objective.theta, directions)


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
    model, batches, objective, plane = problem(model_name)
    Z = np.random.default_rng(1).normal(size=(10, 2))
    thetas = plane.inverse_transform(Z)
    before = copy.deepcopy(objective.model.state_dict())
    strategy = STRATEGIES[name]
    if model_name == "frozen" and strategy.planes:
        with pytest.raises(InputError, match="does not depend on the parameters"):
            evaluator(objective, strategy, plane)
        return
    found = evaluator(objective, strategy, plane)(thetas, Z)
    np.testing.assert_allclose(found["loss"], dumb(model, batches, objective.layout, thetas), rtol=1e-6)
    np.testing.assert_allclose(found["accuracy"], objective.evaluate(thetas)["accuracy"], rtol=1e-14)
    again = objective.model.state_dict()
    assert all(torch.equal(again[key], value) for key, value in before.items()), "the objective's own copy is left"


def test_in_place_is_the_plain_way_to_the_bit():
    _, _, objective, plane = problem("cnn")
    thetas = plane.inverse_transform(np.random.default_rng(1).normal(size=(5, 2)))
    np.testing.assert_array_equal(evaluator(objective, IN_PLACE)(thetas, None)["loss"], objective.values(thetas))


def test_nan_and_inf_are_kept_by_every_strategy():
    _, _, objective, plane = problem("mlp")
    Z = np.array([[0.0, 0.0], [1e30, 0.0]])
    for strategy in STRATEGIES.values():
        loss = evaluator(objective, strategy, plane)(plane.inverse_transform(Z), Z)["loss"]
        assert np.isfinite(loss[0])
        assert not np.isfinite(loss[1])


def test_left_out_targets_are_left_out():
    torch.manual_seed(0)
    y = torch.tensor([0, 1, -100, 2])
    model, x = nn.Linear(3, 3), torch.randn(4, 3)
    for criterion in (F.cross_entropy, nn.CrossEntropyLoss()):
        objective = Objective(model, supervised(criterion), [(x, y)])
        found = evaluator(objective, Strategy(in_place=True, cheaper=True))(objective.theta[None], None)["loss"]
        assert found[0] == pytest.approx(objective.value(objective.theta), rel=1e-6)


def test_the_choice_gives_the_same_values_whatever_it_is():
    for name in MODELS:
        _, _, objective, plane = problem(name)
        Z = np.random.default_rng(1).normal(size=(3, 2))
        choice = choose_strategy(objective, plane.inverse_transform(Z), Z, plane, repeats=1)
        far = np.random.default_rng(2).normal(size=(6, 2)) * 2
        thetas = plane.inverse_transform(far)
        found = evaluator(objective, choice, plane)(thetas, far)["loss"]
        np.testing.assert_allclose(found, objective.values(thetas), rtol=1e-6)


def slow_planes(monkeypatch, wish):
    """Make every strategy but one look slow, so that only its values can refuse it."""
    from trajmap.objective import tuning

    monkeypatch.setattr(tuning, "_wishes", lambda objective, plane: iter([wish]))
    monkeypatch.setattr(
        tuning, "_seconds", lambda found, *rest: 1.0 if isinstance(found, tuning.functools.partial) else 0.1
    )


def test_a_strategy_with_other_values_is_refused(monkeypatch):
    torch.manual_seed(0)
    x, y = torch.randn(50, 6), labels(50)
    objective = Objective(Detached(), CE, [(x, y)])
    plane = Plane(objective.theta, np.random.default_rng(0).normal(size=(1, objective.size)))
    Z = np.array([[0.0], [0.5], [1.0]])
    slow_planes(monkeypatch, {"in_place": True, "planes": True})
    assert choose_strategy(objective, plane.inverse_transform(Z), Z, plane) == PLAIN
    worst = Objective(nn.Linear(6, 4), lambda m, b: (m(b[0]) ** 2).mean(dim=1).max(), [(x, y)])
    slow_planes(monkeypatch, {"in_place": True, "samples": 16})
    assert choose_strategy(worst, np.zeros((1, 28)) + 1) == PLAIN, "a maximum is not a mean of pieces' maxima"
    mean = Objective(nn.Linear(6, 4), lambda m, b: (m(b[0]) ** 2).mean(), [(x, y)])
    assert choose_strategy(mean, np.zeros((1, 28)) + 1).samples == 16


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
    assert not suits(objective, IN_PLACE)
    with pytest.raises(InputError, match="leaves buffers alone, got one that writes calls"):
        Evaluator(objective.parts, IN_PLACE)
    assert choose_strategy(objective, objective.theta[None]) == PLAIN


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
    for strategy in (IN_PLACE, Strategy(in_place=True, samples=8)):
        np.testing.assert_allclose(
            evaluator(objective, strategy)(thetas, None)["loss"], objective.values(thetas), rtol=1e-12
        )
    assert not suits(objective, Strategy(in_place=True, onednn=True))


def test_split_batch():
    x, y = torch.arange(10.0)[:, None], torch.arange(10)
    pieces = split_batch({"x": x, "y": [y], "scale": torch.tensor(2.0), "name": "a"}, 4)
    assert [share for share, _ in pieces] == [0.4, 0.4, 0.2]
    assert torch.equal(torch.cat([piece["y"][0] for _, piece in pieces]), y)
    assert all(piece["scale"] == 2 and piece["name"] == "a" for _, piece in pieces)
    assert split_batch("nothing to split", 4) == [(1.0, "nothing to split")]
