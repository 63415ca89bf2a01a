"""Hessian products by differences of gradients: near the exact ones, and honest about how near."""

import numpy as np
import pytest
import torch

from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.errors import InputError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective


def problem(dtype):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.Tanh(), torch.nn.Linear(30, 5)).to(dtype)
    x, y = torch.randn(80, 20, dtype=dtype), torch.randint(5, (80,))
    return Objective(model, supervised(torch.nn.functional.cross_entropy), [(x[:50], y[:50]), (x[50:], y[50:])])


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-3), (torch.float64, 1e-8)])
def test_products_and_their_stated_error(dtype, most):
    objective = problem(dtype)
    theta = objective.tensor(objective.theta)
    product, exact = objective.hessian(theta, method="differences"), objective.hessian(theta)
    generator = torch.Generator().manual_seed(1)
    for scale in (1.0, 1e-6, 1e6):  # of the vector: the step is measured in parameter distance
        v = scale * torch.randn(objective.size, generator=generator).to(dtype)
        found, expected = product.multiply(v), exact.multiply(v)
        error = float((found - expected).norm() / expected.norm())
        assert error < most
        assert error < 10 * product.error
    assert product.error < most
    assert not product.multiply(torch.zeros_like(v)).any()


def test_what_has_no_second_derivative():
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            return 3 * ctx.saved_tensors[0] ** 2 * g

    model = torch.nn.Linear(3, 1, bias=False).double()
    x = torch.eye(3, dtype=torch.float64)
    objective = Objective(model, lambda m, b: Half.apply(m(b)).sum(), [x])
    theta = np.array([1.0, 2.0, 3.0])
    v = np.array([1.0, -1.0, 0.5])
    found = objective.hessian(theta, method="differences")(v)
    np.testing.assert_allclose(found, 6 * theta * v, rtol=1e-7)
    with pytest.raises(InputError, match="second derivatives, got none of weight.*differences"):
        objective.hvp(theta, v)


def test_a_gradient_that_is_constant_is_not_suspected():
    """Piecewise linear: all second derivatives that exist are zero."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1)).double()
    x = torch.randn(30, 4).double()
    for loss in (lambda m, b: m[0](b).sum(), lambda m, b: m[1](m[0](b)).mean(), lambda m, b: m(b).mean()):
        objective = Objective(model, loss, [x])
        product = objective.hvp(objective.theta, np.ones(objective.size))
        assert np.isfinite(product).all()


def test_eigenpairs_by_differences():
    objective = problem(torch.float64)
    exact = top_eigenspace(objective, objective.theta, 3, tol=1e-6)
    found = top_eigenspace(objective, objective.theta, 3, tol=1e-6, method="differences")
    np.testing.assert_allclose(found.eigenvalues, exact.eigenvalues, rtol=1e-6)


def test_inputs_that_a_loss_differentiates_by_stay_as_they_were():
    """A physics-informed loss that marks its batch itself, in place."""
    model = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()

    def residual(m, x):
        x = x.requires_grad_()
        (slope,) = torch.autograd.grad(m(x).sum(), x, create_graph=True)
        return (slope - 1).square().mean()

    objective = Objective(model, residual, [torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]])
    theta = objective.theta
    objective.gradient(theta)
    assert objective.value(theta) == objective.value(theta)
    assert all(leaf.grad is None for batch in objective.parts.batches.kept for leaf in batch.leaves)


def test_other_words_are_refused():
    objective = problem(torch.float64)
    with pytest.raises(InputError, match="method: expected one of 'exact', 'differences'"):
        objective.hessian(objective.theta, method="fast")
