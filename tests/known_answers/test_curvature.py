"""Eigenspaces and angles whose answer is known."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from trajmap.curvature.alignments import alignment
from trajmap.curvature.angles import overlap, overlap_baseline, principal_angles
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import by_magnitude, lanczos_pairs, largest, smallest
from trajmap.data.plane import Plane
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError
from trajmap.examples import digits
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective


def run(rng, matrix, k, *, tol=1e-10, order=by_magnitude, limit=None, start=None):
    count = []

    def product(v):
        count.append(1)
        return matrix @ v

    first = rng.standard_normal(len(matrix)) if start is None else start
    generator = np.random.default_rng(1)
    found = lanczos_pairs(product, first, k, tol=tol, max_products=limit or len(matrix), order=order, rng=generator)
    assert found.n_products == len(count)
    return found


def with_spectrum(rng, values):
    Q = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    return Q @ np.diag(values) @ Q.T, Q


SPECTRA = {
    "indefinite": np.concatenate([[9.0, -7, 5, -3], np.random.default_rng(0).uniform(-1, 1, 196)]),
    "threefold": np.concatenate([[5.0, 5, 5, 3, 3], np.linspace(0, 1, 195)]),
    "few values": np.repeat([4.0, 1.0, -2.0], [3, 97, 100]),
    "low rank": np.concatenate([[3.0, 2, 1], np.zeros(197)]),
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize(("order", "sort"), [(by_magnitude, abs), (largest, float), (smallest, lambda v: -v)])
def test_eigenpairs_of_known_spectra(rng, name, order, sort):
    values = SPECTRA[name]
    matrix, _ = with_spectrum(rng, values)
    found = run(rng, matrix, 5, order=order)
    expected = np.array(sorted(values, key=sort, reverse=True)[:5])
    np.testing.assert_allclose(sorted(found.values), sorted(expected), atol=1e-8)
    assert found.converged.all()
    true = np.linalg.norm(found.vectors @ matrix - found.values[:, None] * found.vectors, axis=1)
    np.testing.assert_allclose(true, found.residuals, atol=1e-8)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(5), atol=1e-10)


def test_no_ghost_copies(rng):
    values = np.concatenate([[100.0, 10], rng.uniform(0, 1, 298)])
    matrix, _ = with_spectrum(rng, values)
    found = run(rng, matrix, 40, tol=0.0, limit=120)
    assert np.sum(found.values > 50) == 1
    assert np.sum(found.values > 5) == 2


def test_reported_residuals_are_the_true_ones_before_convergence(rng):
    matrix, _ = with_spectrum(rng, np.linspace(-1, 2, 150))
    found = run(rng, matrix, 6, tol=1e-12, limit=12)
    assert not found.converged.all()
    true = np.linalg.norm(found.vectors @ matrix - found.values[:, None] * found.vectors, axis=1)
    np.testing.assert_allclose(found.residuals, true, rtol=1e-8)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    x, y = torch.randn(40, 5, dtype=torch.float64), torch.randint(3, (40,))
    objective = Objective(model, supervised(torch.nn.functional.cross_entropy), [(x[:25], y[:25]), (x[25:], y[25:])])
    names = [name for name, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]

    def loss(flat):
        parts = flat.split([s.numel() for s in shapes])
        tensors = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        return torch.nn.functional.cross_entropy(torch.func.functional_call(model, tensors, (x,)), y)

    dense = torch.autograd.functional.hessian(loss, torch.tensor(objective.theta)).numpy()
    return objective, dense


def test_eigenspace_against_the_dense_hessian(small):
    objective, dense = small
    values, vectors = np.linalg.eigh(dense)
    top = np.argsort(-np.abs(values))[:4]
    found = top_eigenspace(objective, objective.theta, 4, tol=1e-10)
    np.testing.assert_allclose(found.eigenvalues, values[top], rtol=1e-8)
    assert principal_angles(found.eigenvectors, vectors[:, top].T).max() < 1e-6
    bottom = top_eigenspace(objective, objective.theta, 1, tol=1e-10, order=smallest)
    assert bottom.eigenvalues[0] == pytest.approx(values[0], rel=1e-8)


def test_linear_regression():
    x = torch.randn(60, 7, dtype=torch.float64)
    objective = Objective(
        torch.nn.Linear(7, 1, bias=False).double(), supervised(torch.nn.functional.mse_loss), [(x, x[:, :1])]
    )
    expected = np.linalg.eigvalsh(2 / 60 * x.T.numpy() @ x.numpy())[::-1]
    found = top_eigenspace(objective, np.zeros(7), 7, tol=1e-12)
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-10)


def test_signs_and_repeatability(small):
    objective, _ = small
    first, second = (top_eigenspace(objective, objective.theta, 3) for _ in range(2))
    np.testing.assert_array_equal(first.eigenvectors, second.eigenvectors)
    peaks = np.abs(first.eigenvectors).argmax(axis=1)
    assert (first.eigenvectors[np.arange(3), peaks] > 0).all()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = digits.train(tmp_path_factory.mktemp("digits") / "run", epochs=3)
    return digits.objective(), Trajectory.open(folder)


@pytest.mark.slow
def test_products_for_the_top_ten_on_digits(trained):
    objective, trajectory = trained
    theta = trajectory.theta(-2)
    cold = top_eigenspace(objective, theta, 10, tol=1e-2)
    assert cold.converged.all()
    assert cold.n_products <= 40
    product = objective.hessian(theta)
    true = [
        np.linalg.norm(product(v) - value * v) for v, value in zip(cold.eigenvectors, cold.eigenvalues, strict=True)
    ]
    # float32 products: residuals agree to the rounding of H v, 1e-6 of λ₁
    np.testing.assert_allclose(cold.residuals, true, atol=1e-5 * cold.eigenvalues[0])
    assert top_eigenspace(objective, trajectory.theta(-1), 10, start=cold).n_products < cold.n_products


def test_not_converged_is_flagged(trained):
    objective, trajectory = trained
    found = top_eigenspace(objective, trajectory.theta(0), 10, tol=1e-6, max_products=12)
    assert found.n_products == 12
    assert not found.converged.all()


def test_principal_angles_in_closed_form(rng):
    e = np.eye(6)
    for phi in (1e-9, 1e-4, 0.3, 1.2):
        turned = np.cos(phi) * e[0] + np.sin(phi) * e[2]
        np.testing.assert_allclose(principal_angles(e[:2], [turned, e[1]]), [0, phi], rtol=1e-6, atol=1e-15)
    np.testing.assert_allclose(principal_angles(e[:2], e[:4]), 0, atol=1e-12)
    np.testing.assert_allclose(principal_angles(e[:2], e[3:5]), np.pi / 2)
    assert overlap(e[:2], [e[0], e[3]]) == pytest.approx(0.5)
    A, B = rng.normal(size=(3, 20)), rng.normal(size=(5, 20))
    np.testing.assert_allclose(principal_angles(A, B), np.sort(scipy.linalg.subspace_angles(A.T, B.T)), atol=1e-12)
    Q_A, Q_B = (np.linalg.qr(m.T)[0] for m in (A, B))
    assert overlap(A, B) == pytest.approx(np.sum((Q_A.T @ Q_B) ** 2) / 3)


@pytest.mark.parametrize(("d", "k", "P"), [(1, 4, 60), (2, 4, 60), (3, 3, 12)])
def test_overlap_baseline_against_brute_force(rng, d, k, P):
    found = overlap_baseline(d, k, P, n_draws=4000)
    draws = []
    for _ in range(4000):
        Q = np.linalg.qr(rng.standard_normal((P, d)))[0]
        draws.append(np.sum(Q[:k] ** 2) / d)
    # a quantile of 4000 draws is known to about 2 % of the spread
    np.testing.assert_allclose(found, np.quantile(draws, [0.05, 0.5, 0.95]), atol=0.07 * np.ptp(found))
    if d == 1:
        np.testing.assert_allclose(found, scipy.stats.beta(k / 2, (P - k) / 2).ppf([0.05, 0.5, 0.95]))


def bowl(values):
    diagonal = torch.tensor(values, dtype=torch.float64)
    model = torch.nn.Linear(len(values), 1, bias=False).double()
    return Objective(model, lambda m, x: m(x).square().sum() / 2, [torch.diag(diagonal.sqrt())])


def test_gradient_share_of_gradient_descent_on_a_quadratic():
    curvatures, eta = np.array([5.0, 4, 1, 0.5, 0.2, 0.1]), 0.1
    objective = bowl(curvatures)
    path = np.array([(1 - eta * curvatures) ** t for t in range(40)])
    run = Trajectory.of(path, layout=objective.layout)
    chart = Plane(np.zeros(6), np.eye(2, 6))
    at = [0, 3, 10, 38]
    spaces = {t: top_eigenspace(objective, path[t], 2, tol=1e-12) for t in at}
    found = alignment(objective, chart, run, at=at, eigenspaces=spaces, name="top")
    squares = curvatures**2 * (1 - eta * curvatures) ** (2 * np.array(at)[:, None])
    np.testing.assert_allclose(found.gradient, squares[:, :2].sum(axis=1) / squares.sum(axis=1), rtol=1e-8)
    # a gradient step is along the gradient
    np.testing.assert_allclose(found.step, found.gradient, rtol=1e-6)
    # the chart is the top eigenspace
    np.testing.assert_allclose(found.tangent, 1, rtol=1e-9)
    np.testing.assert_allclose(found.angles, 0, atol=1e-6)
    assert found.expected == 2 / 6
    assert found.steps.tolist() == at


def test_row_space_baseline_by_brute_force(rng):
    objective = bowl(np.geomspace(9, 0.1, 30))
    run = Trajectory.of(np.cumsum(rng.normal(size=(8, 30)), axis=0), layout=objective.layout)
    found = alignment(objective, Plane(np.zeros(30), np.eye(2, 30)), run, k=3, at=[0, 3])
    centred = run.iterates - run.iterates.mean(axis=0)
    basis = np.linalg.svd(centred)[2][:7]
    draws = []
    for _ in range(2000):
        Q = np.linalg.qr(basis.T @ rng.standard_normal((7, 2)))[0]
        draws.append(np.sum(Q[:3] ** 2) / 2)
    np.testing.assert_allclose(found.baselines["row_space"], np.quantile(draws, [0.05, 0.5, 0.95]), atol=0.05)


def test_known_eigenspaces_are_used(rng):
    objective = bowl(np.ones(5))
    run = Trajectory.of(rng.normal(size=(4, 5)), layout=objective.layout)
    mine = Eigenspace(np.array([7.0]), np.eye(1, 5), np.zeros(1), np.array([True]))
    chart = Plane(np.zeros(5), np.eye(2, 5))
    found = alignment(objective, chart, run, at=[1], eigenspaces={1: mine})
    assert found.eigenvalues.tolist() == [[7.0]]
    with pytest.raises(InputError, match="eigenspaces: expected one shape"):
        alignment(objective, chart, run, k=2, at=[0, 1], eigenspaces={1: mine})


def test_worded_errors(rng, small):
    objective, _ = small
    theta = objective.theta
    with pytest.raises(InputError, match=r"k: expected an integer in \[1, 75\], got 76"):
        top_eigenspace(objective, theta, 76)
    with pytest.raises(InputError, match="theta: expected a point where the Hessian is finite"):
        top_eigenspace(objective, np.full(75, np.nan), 2)
    with pytest.raises(InputError, match="start: expected a finite direction"):
        top_eigenspace(objective, theta, 2, start=np.zeros(75))
    with pytest.raises(InputError, match="B: expected linearly independent rows"):
        principal_angles(np.eye(2, 4), [[1.0, 1, 0, 0], [2, 2, 0, 0]])
    with pytest.raises(InputError, match="B: expected rows of length 4"):
        overlap(np.eye(2, 4), np.eye(2, 5))
    with pytest.raises(InputError, match="size: expected an integer"):
        overlap_baseline(3, 4, 6)
    run = Trajectory.of(rng.normal(size=(4, 75)), layout=objective.layout)
    chart = Plane(np.zeros(75), np.eye(2, 75))
    for at in ([3], [-1], []):
        with pytest.raises(InputError, match=r"at: expected places in \[0, 2\]"):
            alignment(objective, chart, run, at=at)
    with pytest.raises(LayoutError, match="trajectory"):
        alignment(objective, chart, Trajectory.of(rng.normal(size=(4, 75))))


def test_looking_changes_nothing():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)).train()
    x = torch.randn(20, 3)
    model(x).sum().backward()
    objective = Objective(model, lambda m, b: m(b).square().mean(), [x])
    before = [t.clone() for t in [*model.state_dict().values(), *(p.grad for p in model.parameters())]]
    state = torch.get_rng_state()
    top_eigenspace(objective, objective.theta, 3)
    after = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
