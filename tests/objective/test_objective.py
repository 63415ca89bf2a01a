"""The objective equals plain autograd, and looking through it changes nothing."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch

from trajmap.data.layout import Layout
from trajmap.errors import InputError, LayoutError, NondeterministicError
from trajmap.objective.differentiable import loss_at
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective

MSE = supervised(torch.nn.functional.mse_loss)


def net(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).to(dtype)


def data(n, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator, dtype=dtype)
    return x, torch.randn(n, 3, generator=generator, dtype=dtype)


def dense_hessian(model, x, y):
    """By autograd on the user's own functional form, without any code of ours."""
    shapes = [p.shape for p in model.parameters()]
    sizes = [p.numel() for p in model.parameters()]
    names = [n for n, _ in model.named_parameters()]

    def loss(flat):
        tensors = {n: part.view(s) for n, part, s in zip(names, flat.split(sizes), shapes, strict=True)}
        return torch.nn.functional.mse_loss(torch.func.functional_call(model, tensors, (x,)), y)

    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    return torch.autograd.functional.hessian(loss, flat).numpy()


def test_value_gradient_and_products_equal_autograd():
    model, (x, y) = net(), data(30)
    objective = Objective(model, MSE, [(x, y)])
    theta = objective.theta
    loss = torch.nn.functional.mse_loss(model(x), y)
    grads = torch.autograd.grad(loss, list(model.parameters()))
    assert objective.value(theta) == pytest.approx(loss.item(), rel=1e-14)
    np.testing.assert_allclose(objective.gradient(theta), torch.cat([g.reshape(-1) for g in grads]), rtol=1e-12)
    H = dense_hessian(model, x, y)
    V = np.random.default_rng(0).normal(size=(3, len(theta)))
    product = objective.hessian(theta)
    for v in V:
        np.testing.assert_allclose(objective.hvp(theta, v), H @ v, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(product(v), objective.hvp(theta, v))


def test_uneven_batches_are_weighted():
    model, (x, y) = net(), data(25)
    whole = Objective(model, MSE, [(x, y)])
    parts = Objective(model, MSE, [(x[:16], y[:16]), (x[16:], y[16:])], metrics={"mse": MSE})
    theta, v = whole.theta, np.random.default_rng(0).normal(size=whole.size)
    assert parts.value(theta) == pytest.approx(whole.value(theta), rel=1e-13)
    assert parts.metrics(theta)["mse"] == pytest.approx(whole.value(theta), rel=1e-13)
    np.testing.assert_allclose(parts.gradient(theta), whole.gradient(theta), rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(parts.hvp(theta, v), whole.hvp(theta, v), rtol=1e-11, atol=1e-13)
    mean_of_means = np.mean([Objective(model, MSE, [(x[a:b], y[a:b])]).value(theta) for a, b in ((0, 16), (16, 25))])
    assert abs(mean_of_means - whole.value(theta)) > 1e-4


def test_loaders_are_read_once_in_a_fixed_order():
    x, y = data(20)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=6, shuffle=True)
    objective = Objective(net(), MSE, loader)
    theta = objective.theta
    assert len({objective.value(theta) for _ in range(5)}) == 1


class Everything(torch.nn.Module):
    """BatchNorm, dropout, a tied weight, an unused and a frozen parameter."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)
        self.drop, self.second = torch.nn.Dropout(0.5), torch.nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.unused = torch.nn.Parameter(torch.ones(2))
        self.frozen = torch.nn.Parameter(torch.full((4,), 2.0), requires_grad=False)

    def forward(self, x):
        return self.frozen * self.second(self.drop(self.norm(self.first(x))))[:, :3].sum(dim=1, keepdim=True)


def fingerprint(model):
    return (
        {name: t.clone() for name, t in model.state_dict().items()},
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        [p.requires_grad for p in model.parameters()],
        [m.training for m in model.modules()],
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        random.getstate(),
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("raises", [False, True])
def test_looking_changes_nothing(raises):
    torch.manual_seed(0)
    model = Everything().train()
    x = torch.randn(12, 4)
    model(x).sum().backward()
    calls = []

    def loss(m, batch):
        random.random()
        np.random.rand()
        torch.rand(3)
        calls.append(1)
        if raises and len(calls) > 4:
            raise RuntimeError("the loss failed")
        return m(batch).square().mean()

    before = fingerprint(model)
    objective = Objective(model, loss, [x])
    assert same(before, fingerprint(model))
    theta = objective.theta + 1
    looks = [
        lambda: objective.values(np.stack([theta] * 4)),
        lambda: objective.gradient(theta),
        lambda: objective.hvp(theta, theta),
        lambda: objective.metrics(theta),
    ]
    for look in looks:
        if raises and look is not looks[-1]:
            with pytest.raises(RuntimeError, match="the loss failed"):
                look()
        else:
            look()
        assert same(before, fingerprint(model))


def test_evaluation_mode_whatever_the_model_is_in():
    torch.manual_seed(0)
    model = Everything().train()
    x = torch.randn(12, 4)
    objective = Objective(model, lambda m, b: m(b).square().mean(), [x])
    expected = copy.deepcopy(model).eval()(x).square().mean().item()
    assert objective.value(objective.theta) == pytest.approx(expected, rel=1e-6)
    assert objective.layout.names == (
        "unused",
        "first.weight",
        "first.bias",
        "norm.weight",
        "norm.bias",
        "second.bias",
    )
    gradient = objective.layout.split(objective.gradient(objective.theta))
    assert not gradient["unused"].any()
    assert gradient["first.weight"].any()


def test_a_loss_that_draws_is_refused():
    def drops(m, batch):
        return torch.nn.functional.dropout(m(batch[0]), 0.5, training=True).square().mean()

    with pytest.raises(NondeterministicError, match=r"loss: expected one value at one point, got .* and then"):
        Objective(net(), drops, [data(10)])
    Objective(net(), drops, [data(10)], check=False)


def test_physics_informed_loss():
    """u' = u through the model's own derivative: value and Hessian equal finite differences."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(1, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()

    def residual(m, x):
        x = x.clone().requires_grad_()
        u = m(x)
        slope = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        return (slope - u).square().mean()

    objective = Objective(model, residual, [torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]])
    theta, rng = objective.theta, np.random.default_rng(0)
    v, h = rng.normal(size=objective.size), 1e-5
    slope = (objective.value(theta + h * v) - objective.value(theta - h * v)) / (2 * h)
    assert objective.gradient(theta) @ v == pytest.approx(slope, rel=1e-7)
    curve = (objective.gradient(theta + h * v) - objective.gradient(theta - h * v)) / (2 * h)
    np.testing.assert_allclose(objective.hvp(theta, v), curve, rtol=1e-5, atol=1e-6)


def test_batches_of_any_structure():
    x, y = data(8)
    objective = Objective(net(), lambda m, b: (m(b["in"]) - b["out"][0]).square().mean(), [{"in": x, "out": [y]}])
    assert objective.value(objective.theta) == Objective(net(), MSE, [(x, y)]).value(objective.theta)


def test_a_subset_of_the_parameters():
    model, (x, y) = net(), data(10)
    layout = Layout(("2.weight", "2.bias"), ((3, 6), (3,)))
    objective = Objective(model, MSE, [(x, y)], layout=layout)
    assert objective.size == 21
    whole = Objective(model, MSE, [(x, y)])
    np.testing.assert_allclose(objective.gradient(objective.theta), whole.gradient(whole.theta)[-21:])
    with pytest.raises(LayoutError, match=r"layout: expected .*unknown \['3.weight'\]|missing"):
        Objective(model, MSE, [(x, y)], layout=Layout(("2.weight", "3.weight"), ((3, 6), (1,))))
    with pytest.raises(LayoutError, match=r"2.weight of shape \(3, 6\), got \(6, 3\)"):
        Objective(model, MSE, [(x, y)], layout=Layout(("2.weight",), ((6, 3),)))


def test_nan_and_inf_are_returned():
    objective = Objective(net(), MSE, [data(10)])
    thetas = np.stack([objective.theta, np.full(objective.size, np.nan), np.full(objective.size, 1e200)])
    values = objective.values(thetas)
    assert np.isfinite(values[0])
    assert np.isnan(values[1])
    assert np.isinf(values[2])


def test_precision_on_request():
    model, (x, y) = net(dtype=torch.float32), data(10, dtype=torch.float32)
    double = Objective(model, MSE, [(x, y)], dtype=torch.float64)
    single = Objective(model, MSE, [(x, y)])
    theta = single.theta
    assert theta.dtype == np.float32
    assert 0 < abs(double.value(theta) / single.value(theta) - 1) < 1e-5


def test_accuracy():
    outputs = torch.tensor([[1.0, 0], [0, 1], [1, 0]])
    assert accuracy(lambda x: x, (outputs, torch.tensor([0, 1, 1]))).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Objective(net().parameters(), MSE, [data(5)]), "model: expected a torch.nn.Module"),
        (lambda: Objective(net(), MSE, []), "batches: expected at least one batch, got none"),
        (lambda: Objective(net(), MSE, data(5)[0]), "batches: expected an iterable of batches, got one tensor"),
        (
            lambda: Objective(net(), lambda m, b: m(b[0]), [data(5)]),
            r"loss: expected a tensor with one entry.*\(5, 3\)",
        ),
        (lambda: Objective(net(), lambda m, b: 3.0, [data(5)]), "loss: expected a tensor with one entry.*float"),
        (lambda: Objective(net(), MSE, [data(5)]).value(np.zeros(4)), r"theta: expected shape \(51,\)"),
        (lambda: Objective(net(), MSE, [data(5)]).gradient(np.zeros((1, 51))), r"theta: expected shape \(51,\)"),
        (lambda: Objective(net(), MSE, [data(5)]).hvp(np.zeros(51), np.zeros(2)), r"v: expected shape \(51,\)"),
    ],
)
def test_worded_errors(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_loss_may_reach_into_the_model():
    """A penalty on weights and a part of the model see the point that is evaluated, in every derivative."""
    model, (x, y) = net(), data(10)

    def loss(m, b):
        return (m[2](torch.tanh(m[0](b[0]))) - b[1]).square().mean() + 0.1 * m[0].weight.square().sum()

    objective = Objective(model, loss, [(x, y)])
    theta = objective.theta + 0.3
    other = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(torch.tensor(theta), other.parameters())
    expected = loss(other, (x, y))
    assert objective.value(theta) == pytest.approx(expected.item(), rel=1e-14)
    grads = torch.autograd.grad(expected, list(other.parameters()))
    np.testing.assert_allclose(objective.gradient(theta), torch.cat([g.reshape(-1) for g in grads]), rtol=1e-12)
    assert loss_at(objective, torch.tensor(theta)).item() == pytest.approx(expected.item(), rel=1e-14)


def test_an_operator_stays_at_its_own_point():
    """Its kept graphs look at the model's buffer, where other points are written in between."""
    objective = Objective(net(), MSE, [data(10)])
    theta, v = objective.theta, np.random.default_rng(0).normal(size=objective.size)
    first = objective.hessian(theta)
    expected, second = first(v), objective.hessian(theta + 1)
    other = second(v)
    objective.value(theta + 2), objective.gradient(theta - 1)
    np.testing.assert_array_equal(first(v), expected)
    np.testing.assert_array_equal(second(v), other)
    assert np.abs(other - expected).max() > 1e-3


def test_arrays_and_tensors_are_answered_in_kind():
    objective = Objective(net(dtype=torch.float32), MSE, [data(10, dtype=torch.float32)])
    theta = objective.theta
    point = torch.tensor(theta)
    assert objective.gradient(theta).dtype == np.float64
    gradient = objective.gradient(point)
    assert gradient.dtype == torch.float32
    np.testing.assert_array_equal(gradient.numpy(), objective.gradient(theta))
    assert objective.value(point) == objective.value(theta)
    product = objective.hessian(point)
    np.testing.assert_array_equal(product.multiply(gradient).numpy(), product(gradient.numpy()))
    assert torch.equal(point, torch.tensor(theta)), "neither is written to"


def test_an_objective_travels():
    objective = Objective(net(), MSE, [data(10)])
    theta = objective.theta + 1
    payload = pickle.dumps(objective)
    again = pickle.loads(payload)
    np.testing.assert_array_equal(again.gradient(theta), objective.gradient(theta))
    assert again.value(again.theta) == objective.value(objective.theta)
    assert len(payload) < 4 * 8 * objective.size + 12_000, "no parameter carries the buffer of all"
