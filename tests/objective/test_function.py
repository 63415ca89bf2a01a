"""Losses that are no torch model."""

import itertools

import numpy as np
import pytest
import torch

from trajmap.errors import InputError, NondeterministicError
from trajmap.objective.differentiable import loss_at
from trajmap.objective.objective import Objective

A = np.diag([5.0, 3.0, 1.0, 0.1])


def f(theta):
    return 0.5 * theta @ A @ theta + np.sin(theta[0])


def gradient(theta):
    return A @ theta + np.array([np.cos(theta[0]), 0, 0, 0])


def product(theta, v):
    return A @ v - np.sin(theta[0]) * np.array([v[0], 0, 0, 0])


POINT, V = np.array([0.3, 1.3, -2.3, 3.3]), np.array([1.0, -2.0, 0.5, 3.0])


@pytest.mark.parametrize(
    ("given", "slope", "curve"),
    [
        ({}, 1e-9, 1e-5),
        ({"gradient": gradient}, 0, 1e-8),
        ({"gradient": gradient, "hessian_product": product}, 0, 0),
    ],
)
def test_derivatives_given_or_by_differences(given, slope, curve):
    objective = Objective.from_function(f, size=4, **given)
    assert objective.layout.names == ("theta",)
    assert objective.value(POINT) == f(POINT)
    np.testing.assert_array_equal(objective.values(np.stack([POINT, V])), [f(POINT), f(V)])
    np.testing.assert_allclose(objective.gradient(POINT), gradient(POINT), atol=slope)
    np.testing.assert_allclose(objective.hvp(POINT, V), product(POINT, V), atol=curve)
    point = torch.tensor(POINT, requires_grad=True)
    (first,) = torch.autograd.grad(loss_at(objective, point), point, create_graph=True)
    np.testing.assert_allclose(torch.autograd.grad(first, point, torch.tensor(V))[0], product(POINT, V), atol=curve)


def test_a_whole_hessian():
    objective = Objective.from_function(lambda t: 0.5 * t @ A @ t, size=4, gradient=lambda t: A @ t)
    product = objective.hessian(POINT)
    np.testing.assert_allclose(np.stack([product(v) for v in np.eye(4)]), A, atol=1e-8)


def test_vmapped():
    objective = Objective.from_function(f, size=4, gradient=gradient)
    points = torch.tensor(np.stack([POINT, V]))
    found = torch.func.vmap(lambda p: objective.parts.loss_at(p, ()))(points)
    np.testing.assert_array_equal(found, [f(POINT), f(V)])


def test_the_function_may_keep_and_change_its_array():
    def greedy(theta):
        theta *= 2
        return float(theta.sum())

    objective = Objective.from_function(greedy, size=2)
    assert [objective.value([1.0, 2.0]) for _ in range(2)] == [6.0, 6.0]


def test_a_point_where_it_is_defined():
    objective = Objective.from_function(lambda t: -np.log(t).sum(), size=2, theta=[1.0, 2.0], gradient=lambda t: -1 / t)
    np.testing.assert_array_equal(objective.theta, [1, 2])
    assert objective.value([2.0, 2.0]) == pytest.approx(-2 * np.log(2))


def another_each_time(theta, calls=itertools.count()):  # ruff: ignore[function-call-in-default-argument]
    return float(next(calls))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"f": lambda t: t}, InputError, r"f: expected a function that returns a number, got an array of shape \(4,\)"),
        ({"f": 3}, InputError, "f: expected a function, got 3"),
        ({"f": f, "size": 0}, InputError, "size: expected an integer ≥ 1"),
        ({"f": f, "gradient": lambda t: t[:2]}, InputError, r"gradient: expected shape \(4,\)"),
        ({"f": f, "theta": [1.0]}, InputError, r"theta: expected shape \(4,\)"),
        ({"f": another_each_time}, NondeterministicError, "one value at one point"),
    ],
)
def test_worded_errors(options, error, message):
    with pytest.raises(error, match=message):
        Objective.from_function(**{"size": 4, **options})


def test_a_wrong_gradient_is_named():
    with pytest.warns(UserWarning, match="expected a gradient equal to the slope of the loss"):
        Objective.from_function(f, size=4, gradient=lambda t: 2 * gradient(t))


def test_a_third_derivative_is_refused():
    objective = Objective.from_function(f, size=4, gradient=gradient, hessian_product=product)
    point = torch.tensor(POINT, requires_grad=True)
    (first,) = torch.autograd.grad(loss_at(objective, point), point, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), point, create_graph=True)
    with pytest.raises(InputError, match="expected two derivatives of a function, got a third"):
        torch.autograd.grad(second.sum(), point)
