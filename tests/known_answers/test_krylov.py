"""Krylov bases of tensors: restarts, repeated eigenvalues, number formats, memory, honest errors."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.krylov import Krylov
from trajmap.curvature.lanczos import by_magnitude, lanczos_pairs, largest
from trajmap.curvature.operators import as_operator, batch_gradients, covariance_product, restricted
from trajmap.curvature.trace import deflated_trace, hutchinson, hutchpp, xtrace
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.errors import InputError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.objective.operator import Operator


def symmetric(values, seed=0):
    n = len(values)
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    return Q @ np.diag(values) @ Q.T


class Dense(Operator):
    """A matrix, in the number format it is given in."""

    def __init__(self, matrix):
        super().__init__(matrix, len(matrix))
        self.matrix = matrix

    def multiply(self, vector):
        assert vector.dtype == self.matrix.dtype
        return self.matrix @ vector


def solve(operator, k, *, tol=1e-6, seed=0, **options):
    generator = np.random.default_rng(seed)
    start = generator.standard_normal(operator.size)
    options = {"max_products": 2000, "order": by_magnitude, **options}
    return lanczos_pairs(operator, start, k, tol=tol, rng=generator, **options)


def residuals(matrix, found):
    return np.linalg.norm(found.vectors @ matrix - found.values[:, None] * found.vectors, axis=1)


@pytest.mark.parametrize(("dtype", "tol", "near"), [(torch.float64, 1e-9, 1e-9), (torch.float32, 1e-3, 1e-5)])
def test_a_small_memory_restarts_and_gives_the_same_pairs(dtype, tol, near):
    values = np.linspace(-1, 1, 400) ** 3 * 5
    matrix = symmetric(values)
    operator = Dense(torch.tensor(matrix, dtype=dtype))
    wide = solve(operator, 4, tol=tol, order=largest)
    tight = solve(operator, 4, tol=tol, order=largest, memory=0)
    assert tight.n_products > wide.n_products > 24, "24 rows is the least"
    for found in (wide, tight):
        assert found.converged.all()
        np.testing.assert_allclose(found.values, values[::-1][:4], rtol=near)
        np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(4), atol=near)
        np.testing.assert_allclose(found.residuals, residuals(matrix, found), atol=5 * near)
    np.testing.assert_allclose(np.abs(np.sum(wide.vectors * tight.vectors, axis=1)), 1, atol=10 * tol)


def test_residuals_are_true_after_a_restart_that_has_not_converged():
    matrix = symmetric(np.linspace(-1, 2, 300))
    found = solve(Dense(torch.tensor(matrix)), 6, tol=1e-14, memory=0, max_products=70)
    assert not found.converged.any()
    np.testing.assert_allclose(found.residuals, residuals(matrix, found), rtol=1e-7)


def test_the_basis_keeps_its_relation_through_turns_and_restarts():
    matrix = symmetric(np.linspace(-1, 2, 60))
    generator = np.random.default_rng(1)
    space = Krylov(Dense(torch.tensor(matrix)))
    for _ in range(3):
        space.add(torch.tensor(generator.standard_normal(60)))
        for _ in range(5):
            space.multiply(space.pending[-1])
            space.gather(generator.standard_normal(len(space.pending)))
    for keep in (15, 6):
        T, S = space.projection()
        space.restart(np.linalg.eigh(T)[1][:, -keep:])
        T, S = space.projection()
        Q = np.stack([space.rows[i].numpy() for i in range(len(space.rows))])
        np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-13)
        known, pending = Q[space.multiplied], Q[space.pending]
        np.testing.assert_allclose(known @ matrix, T.T @ known + S.T @ pending, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("memory", [None, 0])
def test_every_copy_of_a_repeated_eigenvalue(dtype, memory):
    """A linear layer with squared loss has each eigenvalue of the inputs' second moments once an output."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 12, generator=generator, dtype=torch.float64) * torch.linspace(3, 0.1, 12)
    net = torch.nn.Linear(12, 6, bias=False).to(dtype)
    objective = Objective(net, supervised(torch.nn.functional.mse_loss), [(x.to(dtype), torch.zeros(200, 6).to(dtype))])
    expected = np.repeat(np.linalg.eigvalsh((x.T @ x).numpy() * 2 / 1200)[::-1], 6)[:8]
    for seed in range(5):
        found = top_eigenspace(objective, objective.theta, 8, tol=1e-3, memory=memory, random_state=seed)
        assert found.converged.all()
        np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-3)
        np.testing.assert_allclose(found.eigenvectors @ found.eigenvectors.T, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("scale", [1e-24, 1e24])
def test_curvatures_whose_squares_leave_the_number_format(scale):
    values = np.linspace(-1, 1, 100) ** 3 * 5
    operator = Dense(torch.tensor(symmetric(values) * scale, dtype=torch.float32))
    found = solve(operator, 3, tol=1e-3, order=largest)
    assert found.converged.all()
    np.testing.assert_allclose(found.values / scale, values[::-1][:3], rtol=1e-5)


def test_pairs_whose_rank_was_not_checked_are_not_called_converged():
    matrix = symmetric(np.r_[np.full(6, 9.0), np.geomspace(1, 0.01, 194)])
    found = solve(Dense(torch.tensor(matrix)), 4, tol=1e-2, max_products=9)
    assert found.values[0] == pytest.approx(9)
    assert found.converged[0]
    assert not found.converged[found.values < 8].any()
    whole = solve(Dense(torch.tensor(matrix)), 4, tol=1e-2)
    assert whole.converged.all()
    np.testing.assert_allclose(whole.values, 9, rtol=1e-3)


def test_eigenvectors_have_the_models_number_format():
    for dtype, expected in ((torch.float32, np.float32), (torch.float64, np.float64)):
        net = torch.nn.Linear(5, 2).to(dtype)
        objective = Objective(net, lambda m, x: m(x).square().mean(), [torch.randn(8, 5, dtype=dtype)])
        assert top_eigenspace(objective, objective.theta, 2).eigenvectors.dtype == expected
        found = batch_gradients(objective, objective.theta, batch_size=2)
        assert found.gradients.dtype == expected
        assert covariance_product(found).dtype == dtype
        block, _ = restricted(objective.hessian(objective.theta), objective.layout, ["bias"])
        assert (block.dtype, block.size) == (dtype, 2)


def test_a_narrow_number_format_is_refused_in_words():
    narrow = Dense(torch.eye(4, dtype=torch.bfloat16))
    for attempt in (lambda: solve(narrow, 2), lambda: xtrace(narrow, 4), lambda: hutchpp(narrow, 4)):
        with pytest.raises(InputError, match=r"operator: expected products in float32 or float64, got torch.bfloat16"):
            attempt()
    with pytest.raises(InputError, match=r"size: expected 4, the operator's"):
        hutchinson(narrow, 5)


def test_a_function_may_keep_and_change_what_it_is_given():
    kept = []

    def product(v):
        kept.append(v)
        v *= 2
        return v

    operator = as_operator(product, 3)
    v = torch.ones(3, dtype=torch.float64)
    first = operator.multiply(v)
    kept[0][:] = 7
    assert (v.tolist(), first.tolist()) == ([1, 1, 1], [2, 2, 2])


@pytest.mark.slow
@pytest.mark.parametrize("estimate", [hutchpp, xtrace])
@pytest.mark.parametrize("n", [6, 12, 30])
def test_two_stated_errors_cover_the_trace(estimate, n):
    for values in (1 / np.arange(1, 101), 0.7 ** np.arange(60)):
        A = symmetric(values)
        found = [estimate(lambda v, A=A: A @ v, len(A), n_products=n, random_state=s) for s in range(150)]
        hits = [abs(f.value - values.sum()) <= 2 * f.error for f in found]
        # a coverage of .93 shows as .89 or more in 150 repeats, two standard errors
        assert np.mean(hits) >= 0.89


@pytest.mark.slow
def test_deflation_is_unbiased_for_vectors_of_another_operator_that_are_not_orthonormal():
    A = symmetric(np.r_[[30.0, 20, 10], np.full(57, 0.5)])
    near = np.linalg.eigh(A)[1].T[-3:] + 0.05 * np.random.default_rng(3).normal(size=(3, 60))
    space = Eigenspace(np.array([99.0, 99, 99]), near, np.zeros(3), np.ones(3, dtype=bool))
    found = [deflated_trace(lambda v: A @ v, 60, space, random_state=s) for s in range(200)]
    values = np.array([f.value for f in found])
    assert abs(values.mean() - np.trace(A)) < 4 * values.std() / np.sqrt(200)
    assert found[0].n_products == 15


def test_deflation_bears_repeated_vectors():
    """Twice the same vector is once the same vector: exact inside where nothing is outside."""
    A = symmetric(np.r_[[7.0, 5, 3], np.zeros(20)])
    top = np.linalg.eigh(A)[1].T[-3:]
    space = Eigenspace(np.ones(5), top[[0, 1, 2, 2, 0]], np.zeros(5), np.ones(5, dtype=bool))
    found = deflated_trace(lambda v: A @ v, 23, space, random_state=1)
    assert found.value == pytest.approx(15.0, abs=1e-9)
    assert found.error < 1e-9


CHILD = """
import resource, sys
import numpy as np, torch
from trajmap.curvature.lanczos import by_magnitude, lanczos_pairs
from trajmap.objective.operator import Operator
P, row = 2_000_000, 8_000_000

class Diagonal(Operator):
    def __init__(self):
        self.d = torch.linspace(0, 1, P)
        self.d[:60] = torch.logspace(1.5, 0.3, 60)
        super().__init__(self.d, P)

    def multiply(self, v):
        return self.d * v

operator, rng = Diagonal(), np.random.default_rng(0)
start = rng.standard_normal(P).astype(np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
found = lanczos_pairs(operator, start, 5, tol=1e-3, max_products=400, order=by_magnitude, rng=rng, memory=30 * row)
assert found.converged.all() and found.vectors.dtype == np.float32, found
assert found.n_products > 30
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / row)
"""


WHOLE = """
import pathlib
import torch
from torch import nn
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective

def peak():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(784, 600), nn.ReLU(), nn.Linear(600, 600), nn.ReLU(), nn.Linear(600, 10))
objective = Objective(net, supervised(nn.functional.cross_entropy), [(torch.randn(64, 784), torch.randint(10, (64,)))])
objective.gradient(objective.theta)
before = peak()
found = top_eigenspace(objective, objective.theta, 10)
assert found.converged.all()
print((peak() - before) / (4 * objective.size) - found.n_products)
"""


def beyond(code):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    assert child.returncode == 0, child.stderr
    return float(child.stdout)


@pytest.mark.slow
def test_memory_is_the_basis_and_little_else():
    # 30 rows, and the vectors of a step; the result takes the place of the basis
    assert beyond(CHILD) < 30 + 8


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="the system does not tell the peak")
def test_an_eigenspace_takes_a_copy_of_the_parameters_a_product_and_little_else():
    # float32 copies beside one row a product; thirty-six products of 20 M parameters then take 4 of 8 GiB
    assert beyond(WHOLE) < 20
