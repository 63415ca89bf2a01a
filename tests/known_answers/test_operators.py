"""Operators, traces, densities and baselines against dense matrices and closed forms."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from trajmap.curvature.causal import SgdPlan, causal_test, subspace_training
from trajmap.curvature.density import largest_gap, spectral_density
from trajmap.curvature.edge import edge_gauge
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import largest
from trajmap.curvature.operators import batch_gradients, covariance_product, gauss_newton, restricted
from trajmap.curvature.path import displacement, eigenspace_path, grassmann_distance
from trajmap.curvature.scalar import curvature_class, scalar_curvature
from trajmap.curvature.shares import drift_share, frozen_quadratic_run, isotropic_share, noise_share
from trajmap.curvature.sharpness_batch import batch_sharpness
from trajmap.curvature.stationary import quadratic_horizon, stationary_check, window_factor
from trajmap.curvature.trace import deflated_trace, hutchinson, hutchpp, xtrace
from trajmap.data.results.batch_gradients import BatchGradients
from trajmap.data.results.curvature_class import CurvatureClass
from trajmap.data.results.spectral_gap import SpectralGap
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.objective.pieces import pieces_of

nn, F = torch.nn, torch.nn.functional


class Point(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(size, dtype=torch.float64))

    def forward(self):
        return self.theta


def of_function(function, size):
    return Objective(Point(size), lambda m, _: function(m()), [torch.zeros(1)])


def quadratic(H):
    matrix = torch.tensor(H)
    return of_function(lambda t: 0.5 * t @ matrix @ t, len(H))


def classifier(activation=nn.Tanh, *, norm=False):
    torch.manual_seed(0)
    layers = [nn.Linear(5, 7), *([nn.LayerNorm(7)] if norm else []), activation(), nn.Linear(7, 3)]
    model = nn.Sequential(*layers).double()
    x, y = torch.randn(40, 5, dtype=torch.float64), torch.randint(3, (40,))
    batches = [(x[:25], y[:25]), (x[25:], y[25:])]
    return Objective(model, supervised(F.cross_entropy), batches), x, y


def flat_loss(objective, x, y):
    model, layout = objective.model, objective.layout

    def loss(theta):
        pieces = torch.split(theta, list(layout.sizes))
        named = {n: p.view(s) for n, p, s in zip(layout.names, pieces, layout.shapes, strict=True)}
        return F.cross_entropy(torch.func.functional_call(model, named, (x,)), y)

    return loss


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.GELU])
@pytest.mark.parametrize("norm", [False, True])
def test_hessian_products_equal_the_dense_hessian(activation, norm):
    objective, x, y = classifier(activation, norm=norm)
    theta = objective.theta
    dense = torch.autograd.functional.hessian(flat_loss(objective, x, y), torch.tensor(theta)).numpy()
    for memory in (None, -1):
        product = objective.hessian(theta, memory=memory)
        found = np.stack([product(e) for e in np.eye(len(theta))])
        np.testing.assert_allclose(found, dense, atol=1e-12)
    values, vectors = np.linalg.eigh(dense)
    space = top_eigenspace(objective, theta, 5, tol=1e-10, order=largest)
    np.testing.assert_allclose(space.eigenvalues, values[::-1][:5], atol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(space.eigenvectors * vectors.T[::-1][:5], axis=1)), 1, atol=1e-6)


def test_attention_is_differentiated_twice_without_a_word(rng):
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(8, 2, dim_feedforward=8, dropout=0.0, batch_first=True)
    objective = Objective(model, lambda m, b: m(b).square().mean(), [torch.randn(3, 4, 8)])
    v = rng.normal(size=objective.size)
    theta = objective.theta.astype(float)
    step = 1e-3
    around = (objective.gradient(theta + step * v) - objective.gradient(theta - step * v)) / (2 * step)
    found = objective.hvp(theta, v)
    assert np.linalg.norm(found - around) < 0.02 * np.linalg.norm(around)


def test_unused_frozen_and_tied_parameters():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.unused, self.frozen = nn.Linear(3, 3), nn.Linear(2, 2), nn.Linear(3, 3)
            self.b = nn.Linear(3, 3)
            self.b.weight = self.a.weight
            self.frozen.requires_grad_(False)

        def forward(self, x):
            return self.b(torch.tanh(self.frozen(self.a(x))))

    objective = Objective(Odd().double(), lambda m, x: m(x).square().mean(), [torch.randn(6, 3, dtype=torch.float64)])
    assert "frozen.weight" not in objective.layout.names
    product = objective.hessian(objective.theta)
    dense = np.stack([product(e) for e in np.eye(objective.size)])
    np.testing.assert_allclose(dense, dense.T, atol=1e-12)
    block, places = restricted(product, objective.layout, ["unused.weight", "unused.bias"])
    assert not np.stack([block(e) for e in np.eye(len(places))]).any()


def test_gauss_newton_is_the_dense_fisher_and_the_hessian_at_a_perfect_fit():
    objective, x, _ = classifier()
    theta = objective.theta
    product = gauss_newton(objective, theta)
    found = np.stack([product(e) for e in np.eye(len(theta))])
    model, layout = objective.model, objective.layout

    def outputs(theta):
        pieces = torch.split(theta, list(layout.sizes))
        named = {n: p.view(s) for n, p, s in zip(layout.names, pieces, layout.shapes, strict=True)}
        return torch.func.functional_call(model, named, (x,))

    J = torch.autograd.functional.jacobian(outputs, torch.tensor(theta))
    p = outputs(torch.tensor(theta)).softmax(dim=1).detach()
    middle = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    dense = torch.einsum("nci,ncd,ndj->ij", J, middle, J) / len(x)
    np.testing.assert_allclose(found, dense, atol=1e-12)
    assert np.linalg.eigvalsh(found).min() > -1e-12
    line = nn.Linear(4, 1, bias=False).double()
    data = torch.randn(30, 4, dtype=torch.float64)
    fit = Objective(line, supervised(F.mse_loss), [(data, line(data).detach())])
    hessian, newton = fit.hessian(fit.theta), gauss_newton(fit, fit.theta)
    for e in np.eye(4):
        np.testing.assert_allclose(newton(e), hessian(e), atol=1e-12)
        np.testing.assert_allclose(newton(e), 2 / 30 * (data.T @ data).numpy() @ e, atol=1e-12)
    with pytest.raises(InputError, match="a loss made by trajmap.supervised"):
        gauss_newton(quadratic(np.eye(2)), np.zeros(2))


def test_gradient_covariance(rng):
    objective, x, y = classifier()
    found = batch_gradients(objective, objective.theta, batch_size=1)
    assert found.gradients.shape == (40, objective.size)
    np.testing.assert_allclose(found.mean, objective.gradient(objective.theta), atol=1e-12)
    loss = torch.func.grad(lambda t, a, b: flat_loss(objective, a[None], b[None])(t))
    rows = np.stack([loss(torch.tensor(objective.theta), a, b).numpy() for a, b in zip(x, y, strict=True)])
    np.testing.assert_allclose(found.gradients, rows, atol=1e-12)
    v = rng.normal(size=objective.size)
    np.testing.assert_allclose(covariance_product(found)(v), np.cov(rows.T, bias=True) @ v, atol=1e-12)


def test_layer_blocks():
    objective, x, y = classifier()
    dense = torch.autograd.functional.hessian(flat_loss(objective, x, y), torch.tensor(objective.theta)).numpy()
    block, places = restricted(objective.hessian(objective.theta), objective.layout, ["2.weight", "2.bias"])
    assert places.tolist() == list(range(42, 66))
    found = np.stack([block(e) for e in np.eye(24)])
    np.testing.assert_allclose(found, dense[42:, 42:], atol=1e-12)
    with pytest.raises(InputError, match="names: expected parameters among"):
        restricted(objective.hessian(objective.theta), objective.layout, ["9.weight"])


def symmetric(rng, values):
    Q = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    return Q @ np.diag(values) @ Q.T


@pytest.mark.slow
@pytest.mark.parametrize("estimate", [hutchinson, hutchpp, xtrace])
def test_traces_are_unbiased_and_their_errors_honest(rng, estimate):
    A = symmetric(rng, np.r_[np.geomspace(50, 1, 8), -np.geomspace(1, 0.01, 72)])
    found = [estimate(lambda v: A @ v, 80, n_products=24, random_state=s) for s in range(150)]
    values, errors = (np.array([getattr(f, name) for f in found]) for name in ("value", "error"))
    assert abs(values.mean() - np.trace(A)) < 4 * values.std() / np.sqrt(150)
    assert 0.5 < np.median(errors) / values.std() < 1.5
    assert found[0].n_products <= 24


@pytest.mark.slow
def test_better_estimators_are_better_where_a_few_eigenvalues_lead(rng):
    A = symmetric(rng, np.r_[np.geomspace(100, 5, 10), 0.01 * rng.normal(size=190)])
    space = top_eigenspace(quadratic(A), np.zeros(200), 10, tol=1e-3)
    spread = {
        "hutchinson": [hutchinson(lambda v: A @ v, 200, n_products=30, random_state=s).value for s in range(60)],
        "hutchpp": [hutchpp(lambda v: A @ v, 200, n_products=30, random_state=s).value for s in range(60)],
        "xtrace": [xtrace(lambda v: A @ v, 200, n_products=30, random_state=s).value for s in range(60)],
        "deflated": [
            deflated_trace(lambda v: A @ v, 200, space, n_products=12, random_state=s).value for s in range(60)
        ],
    }
    rms = {name: np.sqrt(np.mean((np.array(v) - np.trace(A)) ** 2)) for name, v in spread.items()}
    assert rms["xtrace"] < 0.3 * rms["hutchinson"]
    assert rms["hutchpp"] < 0.5 * rms["hutchinson"]
    assert rms["deflated"] < 0.1 * rms["hutchinson"]


def test_density_against_the_eigenvalues(rng):
    # a trace well away from zero, or its relative error says nothing
    values = np.r_[np.full(3, 8.0), np.random.default_rng(11).normal(0.5, 1.0, size=297)]
    A = symmetric(rng, values)
    found = spectral_density(lambda v: A @ v, 300, n_probes=10, n_steps=80)
    x, width = np.linspace(-4, 9, 200), 0.4
    exact = scipy.stats.norm.pdf(x[:, None], values, width).mean(axis=1)
    assert np.abs(found.density(x, width) - exact).max() < 0.1 * exact.max()
    assert np.trapezoid(found.density(np.linspace(-8, 14, 2000), width), np.linspace(-8, 14, 2000)) == pytest.approx(
        1, abs=1e-6
    )
    trace, error = found.moment(1)
    assert abs(trace - values.sum()) < 4 * error
    assert found.moment(2)[0] == pytest.approx(np.sum(values**2), rel=0.15)
    assert found.effective_rank == pytest.approx(values.sum() ** 2 / np.sum(values**2), rel=0.3)
    assert found.share_below(0) == pytest.approx(np.mean(values < 0), abs=0.05)
    assert found.negative_share == pytest.approx(np.mean(values < -1e-3 * np.abs(values).max()), abs=0.05)
    assert found.nodes.max() == pytest.approx(8, abs=1e-6)
    few = spectral_density(lambda v: np.r_[1.0, 1, 4, 4] * v, 4, n_probes=3, n_steps=10)
    np.testing.assert_allclose(np.unique(few.nodes.round(9)), [1, 4])
    np.testing.assert_allclose(few.weights.sum(axis=1), 1)
    assert few.condition in {4.0, 1.0}
    with pytest.raises(InputError, match="finite products"):
        spectral_density(lambda v: v * np.nan, 4)


@pytest.mark.slow
def test_eigenspace_path_resumes_and_is_cheaper_than_cold_starts(rng, tmp_path):
    objective, _, _ = classifier()
    thetas = objective.theta + np.linspace(0, 0.2, 6)[:, None] * rng.normal(size=objective.size)
    run = Trajectory.of(thetas, layout=objective.layout)
    found = eigenspace_path(objective, run, 3, at=range(6), out=tmp_path / "spaces")
    cold = [top_eigenspace(objective, theta, 3).n_products for theta in thetas]
    assert sum(space.n_products for space in found.values()) <= sum(cold)
    for space, theta in zip(found.values(), thetas, strict=True):
        expected = np.linalg.eigvalsh(np.stack([objective.hvp(theta, e) for e in np.eye(objective.size)]))
        best = expected[np.argsort(-np.abs(expected))[:3]]
        np.testing.assert_allclose(space.eigenvalues, best, rtol=0.02)
    (tmp_path / "spaces" / "3.npz").unlink()
    again = eigenspace_path(objective, run, 3, at=range(6), out=tmp_path / "spaces")
    assert again[5].eigenvectors.dtype == np.float32, "read, not found again"
    drift = displacement(found)
    assert drift.overlaps.shape == (5, 2)
    assert (drift.overlaps[:, 0] > 0.5).all()
    assert drift.distances[0] == pytest.approx(grassmann_distance(found[0].eigenvectors, found[1].eigenvectors))
    with pytest.raises(LayoutError):
        eigenspace_path(objective, Trajectory.of(np.zeros((3, 4))), 1)


def test_eigenspaces_of_another_loss_are_found_anew(tmp_path):
    A = np.diag(np.arange(1.0, 9.0))
    run = Trajectory.of(np.zeros((3, 8)) + np.arange(3)[:, None], layout=quadratic(A).layout)
    folder = tmp_path / "spaces"
    once = eigenspace_path(quadratic(A), run, 2, at=range(3), tol=1e-3, out=folder)
    again = eigenspace_path(quadratic(A), run, 2, at=range(3), tol=1e-3, out=folder)
    assert all(np.array_equal(again[step].eigenvectors, once[step].eigenvectors.astype(np.float32)) for step in once)
    turned = A[::-1, ::-1].copy()  # the same eigenvalues in other directions
    stale = eigenspace_path(quadratic(turned), run, 2, at=range(3), tol=1e-3, out=folder)
    for space in stale.values():
        np.testing.assert_allclose(np.abs(space.eigenvectors[0]), np.eye(8)[0], atol=2e-3)
    wider = eigenspace_path(quadratic(turned), run, 3, at=range(3), tol=1e-3, out=folder)
    assert all(np.allclose(space.eigenvalues, [8, 7, 6], rtol=1e-3) for space in wider.values())
    exact = eigenspace_path(quadratic(turned), run, 3, at=range(3), tol=1e-9, out=folder)
    assert all((space.residuals <= 1e-9 * space.eigenvalues).all() for space in exact.values())


def test_isotropic_share_is_beta(rng):
    V = np.linalg.qr(rng.normal(size=(60, 4)))[0].T
    draws = rng.normal(size=(20000, 60))
    shares = np.sum((draws @ V.T) ** 2, axis=1) / np.sum(draws**2, axis=1)
    np.testing.assert_allclose(isotropic_share(4, 60), np.quantile(shares, [0.05, 0.5, 0.95]), rtol=0.03)


def test_drift_share_has_no_noise_bias():
    """A drift half inside, under noise that lies inside: the naive share is far too large."""
    P, K = 200, 24
    drift = np.zeros(P)
    drift[0] = drift[50] = 1.0
    basis = np.eye(3, P)
    found, naive = [], []
    for s in range(60):
        noise = np.random.default_rng(s).normal(size=(K, P)) * np.where(np.arange(P) < 3, 1.0, 0.05)
        drifts = drift + noise
        share = drift_share(basis, drifts)
        found.append((share.value, share.error))
        naive.append(np.mean(np.sum(drifts[:, :3] ** 2, axis=1) / np.sum(drifts**2, axis=1)))
    values, errors = np.array(found).T
    assert np.median(values) == pytest.approx(0.5, abs=0.08)
    assert np.mean(naive) > 0.6
    assert 0.4 < np.median(errors) / values.std() < 2.5
    with pytest.raises(InputError, match="at least 3 branches"):
        drift_share(basis, np.ones((2, P)))


def test_noise_share_and_frozen_quadratic(rng):
    C = np.diag([4.0, 3, 2, 1])
    gradients = rng.multivariate_normal(np.ones(4), C, size=4000)
    weights = np.full(4000, 1 / 4000)
    assert noise_share(np.eye(2, 4), BatchGradients(gradients, weights)) == pytest.approx(0.7, abs=0.02)
    H, g = symmetric(rng, [3.0, 1, 0.2]), rng.normal(size=3)
    path = frozen_quadratic_run(lambda v: H @ v, g, lr=0.3, n_steps=200)
    np.testing.assert_allclose(path[-1], -np.linalg.solve(H, g), atol=1e-4)
    # closed form: x_t = −(I − (I − ηH)^t) H⁻¹ g
    power = np.linalg.matrix_power(np.eye(3) - 0.3 * H, 7)
    np.testing.assert_allclose(path[7], -(np.eye(3) - power) @ np.linalg.solve(H, g), atol=1e-12)


def test_stationary_check_on_a_quadratic():
    """SGD in a quadratic valley has the variances of the formula, in any window."""
    values, eta, n, T = np.array([2.0, 1.0, 0.3, 0.01]), 0.2, 24000, 26000
    generator = np.random.default_rng(5)
    x, path = np.zeros(4), []
    for _ in range(T):
        x = x - eta * (values * x + generator.normal(size=4))
        path.append(x)
    run = Trajectory.of(np.array(path))
    space = top_eigenspace(quadratic(np.diag(values)), np.zeros(4), 4, tol=1e-10)
    gradients = BatchGradients(np.sqrt(4) * np.concatenate([np.eye(4), -np.eye(4)]), np.full(8, 1 / 8))
    found = stationary_check(run, space, gradients, lr=eta, n_last=n)
    np.testing.assert_allclose(found.ratio[:3], 1, atol=0.15)
    short = stationary_check(run, space, gradients, lr=eta, n_last=40)
    whole = eta / (0.01 * (2 - eta * 0.01))
    assert short.expected[3] < 0.1 * whole, "a flat direction has no room in a short window"
    rows = np.array([[0.8 ** abs(i - j) for j in range(9)] for i in range(9)])
    assert window_factor(0.8, 9) == pytest.approx(1 - rows.sum() / 81)


def test_quadratic_horizon(rng):
    H = symmetric(rng, [3.0, 1, 0.5])
    objective, x = quadratic(H), np.ones(3)
    path = [x]
    for _ in range(30):
        path.append(path[-1] - 0.2 * H @ path[-1])
    run = Trajectory.of(np.array(path), layout=objective.layout)
    found = quadratic_horizon(objective, run, 3, lr=0.2)
    steps, cosines = found.steps, found.cosines
    assert steps.tolist() == list(range(1, 11))
    np.testing.assert_allclose(cosines, 1, atol=1e-9)
    bent = of_function(lambda t: (t[0] ** 4).sum() + 0.1 * t[1] ** 2, 2)
    path = [np.array([1.0, 1.0])]
    for _ in range(12):
        path.append(path[-1] - 0.2 * bent.gradient(path[-1]))
    cosines = quadratic_horizon(bent, Trajectory.of(np.array(path), layout=bent.layout), 0, lr=0.2).cosines
    assert cosines[0] == pytest.approx(1)
    assert cosines.min() < 0.9


def test_scalar_curvature(rng):
    """A sphere of radius R in n + 1 dimensions has n(n − 1)/R² everywhere; a saddle's is negative."""
    for n, R in ((2, 1.0), (3, 2.0), (5, 1.5)):
        cap = of_function(lambda t, R=R: R - (R**2 - t.square().sum()).sqrt(), n)
        theta = 0.4 * rng.uniform(-1, 1, size=n) / np.sqrt(n)
        assert scalar_curvature(cap, theta).value == pytest.approx(n * (n - 1) / R**2, rel=1e-6)
    assert scalar_curvature(of_function(lambda t: t[0] ** 2 - t[1] ** 2, 2), [0.0, 0.0]).value == pytest.approx(-8)
    P = 200
    H = symmetric(rng, np.linspace(0, 2, P))
    exact = np.trace(H) ** 2 - np.sum(H**2)
    found = scalar_curvature(quadratic(H), np.zeros(P), n_products=150)
    assert abs(found.value - exact) < 4 * found.error
    assert found.error < 0.1 * exact


def test_curvature_class(rng):
    assert curvature_class(lambda v: np.array([2.0, 1, 3]) * v, 3).kind == "convex"
    assert curvature_class(lambda v: np.array([-2.0, -1, -3]) * v, 3).kind == "concave"
    assert curvature_class(lambda v: 0 * v, 3).kind == "flat"
    assert curvature_class(lambda v: np.array([2.0, 0]) * v, 2) == CurvatureClass("singular", 0, 1)
    assert curvature_class(lambda v: np.array([2.0, -2]) * v, 2) == CurvatureClass("saddle", 1, 1)
    A = symmetric(rng, np.r_[rng.uniform(1, 2, 40), rng.uniform(-2, -1, 20)])
    found = curvature_class(lambda v: A @ v, 60)
    kind, negative, positive = found.kind, found.n_negative, found.n_positive
    assert (kind, negative, positive) == ("saddle", 20, 40)
    assert largest_gap([5.0, 4, 1, 0.9, -3]) == SpectralGap(2, 4.0)


def settings(run, **values):
    return dataclasses.replace(run, settings=values)


def test_edge_gauge_reads_the_optimizer():
    H = np.diag([4.0, 1.0, 0.5])
    objective = quadratic(H)
    run = Trajectory.of(np.outer(np.linspace(1, 0.1, 10), np.ones(3)), layout=objective.layout)
    gauge = edge_gauge(objective, settings(run, optimizer={"class": "SGD", "lr": 0.5}), n_at=3)
    np.testing.assert_allclose(gauge.ratio, 1.0, rtol=1e-6)
    assert gauge.threshold.tolist() == [4.0] * 3
    assert gauge.regime == "at"
    heavy = edge_gauge(objective, settings(run, optimizer={"class": "SGD", "lr": 0.5, "momentum": 0.9}), n_at=2)
    np.testing.assert_allclose(heavy.threshold, 7.6)
    assert heavy.regime == "below"
    with pytest.raises(InputError, match="with a learning rate"):
        edge_gauge(objective, run)
    assert edge_gauge(objective, run, lr=0.5, n_at=2).threshold.tolist() == [4.0] * 2
    said = edge_gauge(objective, settings(run, optimizer={"class": "SGD", "lr": 9, "momentum": 0.9}), lr=0.5, n_at=2)
    np.testing.assert_allclose(said.threshold, 7.6, err_msg="what the run says of the rest is kept")


@pytest.mark.slow
def test_batch_sharpness_against_dense_hessians():
    objective, _, _ = classifier()
    theta = objective.theta
    bent = squared = 0.0
    for piece in pieces_of(objective, 5):
        g = piece.gradient(theta)
        H = np.stack([piece.hvp(theta, e) for e in np.eye(len(theta))])
        bent, squared = bent + g @ H @ g, squared + g @ g
    assert batch_sharpness(objective, theta, batch_size=5) == pytest.approx(bent / squared)


@pytest.mark.slow
def test_full_batch_descent_on_squared_loss_reaches_the_edge():
    """Cohen et al.: progressive sharpening to 2/η, where it stays."""
    torch.manual_seed(0)
    x = torch.randn(60, 8, dtype=torch.float64)
    y = torch.sin(3 * x[:, :2])
    model = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 2)).double()
    objective = Objective(model, supervised(F.mse_loss), [(x, y)])
    theta, eta, path = objective.theta.astype(float), 0.5, []
    for step in range(2400):
        if step % 60 == 0:
            path.append(theta)
        theta = theta - eta * objective.gradient(theta)
    run = settings(Trajectory.of(np.array(path), layout=objective.layout), optimizer={"class": "SGD", "lr": eta})
    gauge = edge_gauge(objective, run, n_at=8)
    assert gauge.ratio[0] < 0.7
    assert np.median(gauge.ratio[-3:]) == pytest.approx(1, abs=0.15)


def test_dominant_updates_stop_and_bulk_updates_learn():
    """Two stiff directions that are already learnt, and many soft ones that are not: Song et al. in closed form."""
    values = np.r_[[10.0, 10], np.full(18, 0.1)]
    torch.manual_seed(0)
    noise = torch.randn(64, 20, dtype=torch.float64) * torch.tensor(np.r_[[3.0, 3], np.full(18, 0.01)])
    noise -= noise.mean(dim=0)
    diagonal = torch.tensor(values)
    objective = Objective(
        Point(20), lambda m, b: (0.5 * diagonal * m() ** 2).sum() + (b.mean(dim=0) * m()).sum(), [noise]
    )
    start = np.r_[[0.0, 0], np.ones(18)]
    curves = causal_test(objective, start, SgdPlan(lr=0.05, batch_size=4, n_steps=300), k=2).final
    assert curves["dominant"] > 0.9 * objective.value(start)
    assert curves["bulk"] < 0.1 * objective.value(start)
    assert curves["SGD"] == pytest.approx(curves["bulk"], abs=0.3)


def test_training_inside_a_subspace():
    values = np.linspace(1, 2, 10)
    objective, start = quadratic(np.diag(values)), np.ones(10)
    plan = SgdPlan(lr=0.3, batch_size=1, n_steps=100, every=10)
    found = subspace_training(objective, start, {"first three": np.eye(3, 10), "one": np.ones((1, 10))}, plan)
    final = found.final
    assert final["everywhere"] < 1e-6
    assert final["first three"] == pytest.approx(0.5 * values[3:].sum(), rel=1e-6)
    assert final["one"] < 1e-6, "the start itself lies on that line"
    assert found.steps.tolist() == list(range(0, 101, 10))
    with pytest.raises(InputError, match="linearly independent"):
        subspace_training(objective, start, {"twice": np.ones((2, 10))}, plan)


def test_dinh_rescaling_changes_the_hessian_and_not_the_function():
    """(W₁, W₂) → (αW₁, W₂/α) of a ReLU network: the block of W₂ scales by α², that of W₁ by 1/α²."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 1, bias=False)).double()
    x, y = torch.randn(30, 4, dtype=torch.float64), torch.randn(30, 1, dtype=torch.float64)
    objective = Objective(model, supervised(F.mse_loss), [(x, y)])
    theta, alpha = objective.theta, 5.0
    scaled = np.r_[alpha * theta[:24], theta[24:] / alpha]
    assert objective.value(scaled) == pytest.approx(objective.value(theta))
    for name, factor in (("0.weight", alpha**-2), ("2.weight", alpha**2)):
        tops = []
        for point in (theta, scaled):
            block, places = restricted(objective.hessian(point), objective.layout, [name])
            tops.append(np.linalg.eigvalsh(np.stack([block(e) for e in np.eye(len(places))])).max())
        assert tops[1] / tops[0] == pytest.approx(factor)


def test_two_layer_linear_network():
    """½(w₂w₁ − s)² at a minimum: λ₁ = w₁² + w₂² across the hyperbola of minima, 0 along it."""
    objective = of_function(lambda t: 0.5 * (t[0] * t[1] - 2.0) ** 2, 2)
    for w in (0.5, 1.0, 4.0):
        point = np.array([w, 2.0 / w])
        found = top_eigenspace(objective, point, 2, tol=1e-10)
        np.testing.assert_allclose(found.eigenvalues, [w**2 + 4 / w**2, 0], atol=1e-9)
        normal = point[::-1] / np.linalg.norm(point)
        assert abs(found.eigenvectors[0] @ normal) == pytest.approx(1)
