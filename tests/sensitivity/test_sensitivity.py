"""Derivatives to third order against closed forms, and what ranks they give."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr
from sklearn.datasets import load_diabetes

from trajmap.data.plane import Plane
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.parametric import ParametricChart
from trajmap.sensitivity.chart import chart_derivatives
from trajmap.sensitivity.derivatives import input_derivatives, weight_derivatives
from trajmap.sensitivity.ranks import rank_agreement, spearman_table
from trajmap.sensitivity.runs import path_sensitivity, retrained_sensitivity

MSE = supervised(torch.nn.functional.mse_loss)


def standard(a):
    return (a - a.mean(axis=0)) / a.std(axis=0)


def neuron(X, y, activation):
    layers = [torch.nn.Linear(X.shape[1], 1), *([activation()] if activation else [])]
    model = torch.nn.Sequential(*layers).double()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    return Objective(model, MSE, [(torch.tensor(X), torch.tensor(y)[:, None])])


def test_the_gradient_at_zero_is_minus_twice_spearmans_rho():
    """∂L/∂w = −2ρ_s exactly, for rank-standardised data and a tanh neuron at w = 0."""
    X, y = load_diabetes(return_X_y=True)
    R, r = standard(rankdata(X, axis=0)), standard(rankdata(y))
    objective = neuron(R, r, torch.nn.Tanh)
    found = weight_derivatives(objective, np.zeros(11), names=["0.weight"])
    rho = np.array([spearmanr(X[:, j], y)[0] for j in range(10)])
    np.testing.assert_allclose(found.order(1)[0], -2 * rho, atol=1e-12)
    np.testing.assert_allclose(found.order(2)[0], 2, atol=1e-12)
    np.testing.assert_allclose(found.order(3)[0], 4 * (r[:, None] * R**3).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(spearman_table(X, y, n_boot=50)[:, 0], rho, atol=1e-12)


def test_an_identity_neuron_has_constant_second_derivatives(rng):
    X = standard(rng.normal(size=(80, 4)))
    objective = neuron(X, rng.normal(size=80), None)
    found = weight_derivatives(objective, rng.normal(size=5), names=["0.weight"])
    np.testing.assert_allclose(found.order(2)[0], 2, atol=1e-12)
    np.testing.assert_allclose(found.order(3)[0], 0, atol=1e-12)


def test_against_finite_differences():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    objective = Objective(model, MSE, [(torch.randn(20, 3).double(), torch.randn(20, 1).double())])
    theta = objective.theta
    found = weight_derivatives(objective, theta)
    h = 1e-3
    for j in range(objective.size):
        e = np.eye(objective.size)[j]
        hessian = [objective.hvp(theta + s * e, e) @ e for s in (-h, 0.0, h)]
        assert found.order(1)[0, j] == pytest.approx(objective.gradient(theta)[j], abs=1e-12)
        assert found.order(2)[0, j] == pytest.approx(hessian[1], abs=1e-12)
        assert found.order(3)[0, j] == pytest.approx((hessian[2] - hessian[0]) / (2 * h), abs=1e-5)
    assert found.names[5] == "0.weight[1,2]"


def test_inputs():
    a = torch.tensor([1.0, -2.0, 0.5]).double()
    model = torch.nn.Linear(3, 1, bias=False).double()
    model.weight.data.copy_(a[None])
    x = torch.randn(30, 3).double()
    cubes = Objective(model, lambda m, b: (m(b[0]) ** 3).mean(), [(x[:10], x[:10]), (x[10:], x[10:])])
    found = input_derivatives(cubes, cubes.theta, names=list("abc")).values[0]
    s = (x @ a).numpy()[:, None]
    w = a.numpy()
    np.testing.assert_allclose(found[0], np.abs(3 * s**2 * w).mean(axis=0))
    np.testing.assert_allclose(found[1], np.abs(6 * s * w**2).mean(axis=0))
    np.testing.assert_allclose(found[2], np.abs(6 * w**3))
    with pytest.raises(InputError, match=r"batches \(x, y\)"):
        input_derivatives(Objective(model, lambda m, b: m(b).mean(), [x]), cubes.theta)


def test_chart_coordinates(rng):
    model = torch.nn.Linear(4, 1, bias=False).double()
    quartic = Objective(model, lambda m, x: (m(x) ** 4).sum(), [torch.eye(4).double()])
    origin, directions = rng.normal(size=4), rng.normal(size=(2, 4))
    z = np.array([0.3, -0.2])
    found = chart_derivatives(quartic, Plane(origin, directions), z).values[0]
    theta = origin + z @ directions
    for i, d in enumerate(directions):
        expected = [4 * theta**3 @ d, 12 * theta**2 @ d**2, 24 * theta @ d**3]
        np.testing.assert_allclose(found[:, i], expected)
    circle = ParametricChart(
        lambda z: torch.cat([torch.stack([z[0].cos(), z[0].sin()]), torch.zeros(2, dtype=torch.float64)]), 1
    )
    curved = chart_derivatives(quartic, circle, [0.7], orders=2).values[0, :, 0]
    t = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(t.cos() ** 4 + t.sin() ** 4, t, create_graph=True)
    (second,) = torch.autograd.grad(first, t)
    np.testing.assert_allclose(curved, [first.item(), second.item()])
    with pytest.raises(InputError, match="orders: expected at most 3"):
        chart_derivatives(quartic, circle, [0.7], orders=4)


def test_along_a_path_and_over_retrainings(rng):
    X = standard(rng.normal(size=(40, 3)))
    objective = neuron(X, rng.normal(size=40), torch.nn.Tanh)
    run = Trajectory.of(rng.normal(size=(5, 4)), layout=objective.layout)
    found = path_sensitivity(objective, run, every=2)
    assert found.values.shape == (3, 3, 4)
    np.testing.assert_array_equal(found.values[1], weight_derivatives(objective, run.theta(2)).values[0])
    again = retrained_sensitivity(objective, [run.theta(0), run.theta(4)])
    np.testing.assert_array_equal(again.values, found.values[[0, 2]])
    np.testing.assert_allclose(found.mean, np.abs(found.values).mean(axis=0))
    with pytest.raises(InputError, match="at least one training"):
        retrained_sensitivity(objective, [])
    with pytest.raises(LayoutError):
        path_sensitivity(objective, Trajectory.of(np.zeros((3, 2))))


def test_rank_agreement(rng):
    a = rng.normal(size=60)
    b = a + 0.3 * rng.normal(size=60)
    found = rank_agreement(a, b)
    rho, low, high = found.value, found.low, found.high
    assert rho == pytest.approx(spearmanr(a, b)[0])
    assert low < rho < high < 1
    assert rank_agreement(a, -a).value == pytest.approx(-1)
    assert np.isnan(rank_agreement(a, np.ones(60)).value)
    table = spearman_table(np.column_stack([a, rng.normal(size=60)]), b)
    assert table[0, 1] > 0.5
    assert table[1, 1] < 0 < table[1, 2]
