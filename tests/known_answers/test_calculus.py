"""Derivatives, geodesics and verdicts on charts whose answer is known."""

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.integrate import quad
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.basins.barriers import barrier
from trajmap.curvature.critical import critical_points
from trajmap.curvature.normal import normal_curvatures, normal_profile
from trajmap.data.plane import Plane
from trajmap.data.results.connection import WAYS
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.affine_charts import as_plane
from trajmap.projection.derivatives import lift_jacobian, lift_second
from trajmap.projection.geodesics import geodesic
from trajmap.projection.lift_gaps import lift_gap
from trajmap.projection.parametric import ParametricChart
from trajmap.projection.potential import effective_potential
from trajmap.projection.pullbacks import pullback
from trajmap.projection.surfaces import surface
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.rowspace import RowSpace


class Point(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.zeros(size, dtype=torch.float64))

    def forward(self):
        return self.theta


def of_function(function, size):
    return Objective(Point(size), lambda m, _: function(m()), [torch.zeros(1)])


HYPERBOLA = ParametricChart(lambda z: torch.stack([z[0].exp(), (-z[0]).exp()]), 1, inverse=lambda X: np.log(X[:, :1]))


class Numeric:
    """A chart seen only through its lifts."""

    def __init__(self, chart):
        self._chart = chart

    def transform(self, X):
        return self._chart.transform(X)

    def inverse_transform(self, X):
        return self._chart.inverse_transform(X)


@pytest.mark.slow
def test_hyperbola():
    """uv = 1: the symmetry orbit of a product, its length, and the barrier of the straight way."""
    found = geodesic(HYPERBOLA, [-1.0], [1.0], n_points=201)
    exact = quad(lambda s: np.sqrt(2 * np.cosh(2 * s)), -1, 1)[0]
    assert exact == pytest.approx(3.725574, abs=1e-6)
    assert found.length == pytest.approx(exact, abs=2e-4)
    assert found.chord == pytest.approx(np.sqrt(2) * (np.e - 1 / np.e))
    assert found.chord <= found.length <= found.straight + 1e-12
    legs = np.linalg.norm(np.diff(HYPERBOLA.inverse_transform(found.points), axis=0), axis=1)
    assert legs.max() < 1.01 * legs.min(), "evenly spaced in parameter distance"
    product = of_function(lambda t: 0.5 * (t[0] * t[1] - 1) ** 2, 2)
    assert barrier(product, [1.0, 1.0], [-1.0, -1.0], n_steps=1).barrier(WAYS[0]) == pytest.approx(0.5, abs=1e-9)
    level = pullback(product, HYPERBOLA, [0.3])
    assert level.value == pytest.approx(0, abs=1e-15)
    assert level.area == pytest.approx(np.sqrt(2 * np.cosh(0.6)))
    # the orbit is level: no curvature along it, though the Hessian in R² is not zero
    np.testing.assert_allclose(level.curvatures, 0, atol=1e-12)


@pytest.mark.slow
def test_geodesic_on_a_sphere_is_a_great_circle():
    sphere = ParametricChart(lambda z: torch.stack([z[0].cos() * z[1].cos(), z[0].sin() * z[1].cos(), z[1].sin()]), 2)
    a, b = np.array([0.0, 0.8]), np.array([2.0, 0.8])
    ends = sphere.inverse_transform(np.stack([a, b]))
    found = geodesic(sphere, a, b, n_points=41, path=np.array([a, [1.0, 1.3], b]))
    assert found.length == pytest.approx(np.arccos(ends[0] @ ends[1]), rel=1e-3)
    assert found.straight == pytest.approx(2 * np.cos(0.8), rel=1e-3), "the parallel is longer"
    assert found.points[20, 1] > 0.9, "the great circle goes nearer to the pole"
    assert found.length < found.path
    again = geodesic(Numeric(sphere), a, b, n_points=21)
    assert again.length == pytest.approx(found.length, rel=2e-3)


def ring(P=60, h=20.0):
    """A circular valley in the first two coordinates, with radial curvature h, level along the circle."""
    return of_function(lambda t: 0.5 * h * (t[:2].norm() - 1) ** 2 + 0.5 * h * t[2:].square().sum(), P)


CIRCLE = ParametricChart(
    lambda z: torch.cat([torch.stack([z[0].cos(), z[0].sin()]), torch.zeros(58, dtype=torch.float64)]), 1
)


@pytest.mark.parametrize("chart", [CIRCLE, Numeric(CIRCLE)], ids=["exact", "differences"])
def test_ring_valley(chart):
    objective = ring()
    found = pullback(objective, chart, [0.7])
    assert found.curvatures[0] == pytest.approx(0, abs=1e-6)
    assert found.metric[0, 0] == pytest.approx(1, abs=1e-6)
    profile = normal_profile(objective, chart, [0.7], radius=0.5, rise=0.1, n_points=41)
    np.testing.assert_allclose(profile.curvatures, 20, rtol=1e-3)
    # ½ h w² = rise
    np.testing.assert_allclose(profile.half_widths[1:], np.sqrt(2 * 0.1 / 20), rtol=0.05)
    assert np.isnan(profile.losses[0]).all(), "no normal gradient on the valley's floor"


def test_a_tangent_off_by_an_angle_adds_its_curvature():
    """h·sin²ε: ε = 13.3°, h = 20 → 1.06 where the ring itself has none (the Hessian's, before the normal part)."""
    objective, angle = ring(), np.deg2rad(13.3)
    tilted = np.zeros((1, 60))
    tilted[0, :2] = np.sin(angle), np.cos(angle)
    chart = Plane(np.eye(60)[0], tilted)
    assert pullback(objective, chart, [0.0]).curvatures[0] == pytest.approx(20 * np.sin(angle) ** 2, rel=1e-9)


@pytest.mark.slow
def test_chart_of_a_ring_run_recovers_curvature_and_gap(rng):
    """A noisy run along the ring: the plane's gap is that of its residuals, exactly for the quadratic part."""
    P, h, s = 60, 20.0, 0.02
    angle = np.linspace(0, 2, 300)
    thetas = np.zeros((300, P))
    thetas[:, 0], thetas[:, 1] = np.cos(angle), np.sin(angle)
    thetas[:, 2:] = s * rng.normal(size=(300, P - 2))
    objective = ring(P, h)
    run = Trajectory.of(thetas, layout=objective.layout)
    plane = Plane(np.zeros(P), np.eye(2, P))
    gap = lift_gap(objective, plane, run, decompose=True)
    np.testing.assert_allclose(gap.gap, -0.5 * h * np.sum(thetas[:, 2:] ** 2, axis=1), rtol=1e-9)
    np.testing.assert_allclose(gap.first_order + gap.second_order, gap.gap, rtol=1e-9)
    # E Δ = −½ tr(H Σ_res)
    covariance = np.cov(thetas[:, 2:].T, bias=True) + np.outer(thetas[:, 2:].mean(0), thetas[:, 2:].mean(0))
    assert gap.gap.mean() == pytest.approx(-0.5 * h * np.trace(covariance), rel=1e-9)


@pytest.mark.slow
def test_quadratic_gap_is_minus_half_trace_of_hessian_and_residual_covariance(rng):
    H = np.diag(np.geomspace(0.1, 10, 12))
    objective = of_function(lambda t: 0.5 * t @ torch.tensor(H) @ t, 12)
    thetas = rng.normal(size=(400, 12))
    run = Trajectory.of(thetas - thetas.mean(0), layout=objective.layout)
    chart = make_pipeline(RowSpace(), PCA(3)).fit(run.iterates)
    residual = run.iterates - chart.inverse_transform(chart.transform(run.iterates))
    gap = lift_gap(objective, chart, run, decompose=True)
    law = -0.5 * np.trace(H @ (residual.T @ residual)) / 400
    assert gap.second_order.mean() == pytest.approx(-law, rel=1e-9)
    np.testing.assert_allclose(gap.gap, gap.first_order + gap.second_order, atol=1e-12)
    # gᵀr averages to tr(H Cov(θ, r)) = tr(H Σ_res) + tr(H Cov(lift, r)), and lifts are uncorrelated with residuals
    assert gap.gap.mean() == pytest.approx(law, rel=1e-9)


def test_saddle():
    saddle = of_function(lambda t: t[0] ** 2 - t[1] ** 2 + 3 * t[2] ** 2, 3)
    skew = Plane(np.zeros(3), np.array([[2.0, 0, 0], [1, 1, 0]]))
    found = pullback(saddle, skew, [0.0, 0.0])
    np.testing.assert_allclose(found.hessian, [[8, 4], [4, 0]], atol=1e-12)
    np.testing.assert_allclose(found.curvatures, [-2, 2], atol=1e-12)
    assert found.area == pytest.approx(2)
    axis = np.linspace(-1, 1, 9)
    land = surface(saddle, skew, Grid((axis, axis + 0.03)))
    points = critical_points(saddle, skew, land)
    assert points.kinds == ["saddle"]
    assert not points.hidden_saddle[0]
    assert not points.hidden_slope[0]
    np.testing.assert_allclose(points.normal_curvatures, [[6, 6]])


def test_hidden_saddles_and_slopes_are_told():
    """A bowl on the plane z₃ = z₄ = 0.5 hides a ridge in one normal direction and a slope in another."""
    objective = of_function(lambda t: t[0] ** 2 + t[1] ** 2 - 2 * t[2] ** 2 + 0.7 * t[3], 4)
    plane = Plane(np.zeros(4), np.eye(2, 4))
    axis = np.linspace(-1, 1.1, 10)
    found = critical_points(objective, plane, surface(objective, plane, Grid((axis, axis))), radius=0.5)
    assert found.kinds == ["minimum"]
    assert found.hidden_saddle.tolist() == [True]
    assert found.hidden_slope.tolist() == [True]
    assert found.normal_gradients[0] == pytest.approx(0.7)
    assert found.slope_gains[0] == pytest.approx(0.35)
    np.testing.assert_allclose(found.normal_curvatures, [[-4, 0]], atol=1e-9)
    honest = of_function(lambda t: (t**2).sum(), 4)
    found = critical_points(honest, plane, surface(honest, plane, Grid((axis, axis))), radius=0.5)
    assert not found.hidden_saddle.any()
    assert not found.hidden_slope.any()


def test_four_wells_have_nine_critical_points():
    objective = of_function(lambda t: ((t[:2] ** 2 - 1) ** 2).sum() + t[2] ** 2, 3)
    axis = np.linspace(-1.6, 1.7, 31)
    plane = Plane(np.zeros(3), np.eye(2, 3))
    found = critical_points(objective, plane, surface(objective, plane, Grid((axis, axis))), max_points=20)
    assert sorted(found.kinds) == ["maximum"] + 4 * ["minimum"] + 4 * ["saddle"]
    np.testing.assert_allclose(np.sort(np.abs(found.z), axis=None), [0] * 6 + [1] * 12, atol=1e-6)


def test_normal_curvatures_by_lanczos_equal_the_dense_ones(rng):
    P = 300
    A = rng.normal(size=(P, P))
    H = (A + A.T) / 2
    basis = np.linalg.qr(rng.normal(size=(P, 2)))[0].T
    complement = np.linalg.svd(basis)[2][2:]
    expected = np.linalg.eigvalsh(complement @ H @ complement.T)[[0, -1]]
    values, vectors = normal_curvatures(lambda v: H @ v, basis, tol=1e-8)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    np.testing.assert_allclose(vectors @ basis.T, 0, atol=1e-6)


def test_normal_curvatures_of_a_convex_loss_with_flat_directions(rng):
    # half of the eigenvalues are zero: no relative accuracy of the lowest can be reached, and the search must end
    diagonal = np.r_[np.zeros(150), np.geomspace(1e-6, 5, 150)]
    basis = np.linalg.qr(rng.standard_normal((300, 2)))[0].T
    calls = []
    values, vectors = normal_curvatures(lambda v: calls.append(1) or diagonal * v, basis)
    complement = scipy.linalg.null_space(basis)
    lowest, *_, highest = np.linalg.eigvalsh((complement.T * diagonal) @ complement)
    np.testing.assert_allclose(values, [lowest, highest], rtol=1e-2, atol=1e-6)
    np.testing.assert_allclose(vectors @ basis.T, 0, atol=1e-6)
    assert len(calls) <= 1001


def test_derivatives_of_a_lift_by_differences_equal_the_exact_ones():
    chart = ParametricChart(lambda z: torch.stack([z[0] * z[1], z[0].sin(), z[1] ** 3, torch.exp(z[0] - z[1])]), 2)
    z = np.array([0.4, -0.7])
    np.testing.assert_allclose(lift_jacobian(Numeric(chart), z), chart.jacobian(z), atol=1e-5)
    np.testing.assert_allclose(lift_second(Numeric(chart), z), chart.second(z), atol=1e-4)
    e = np.exp(1.1)
    np.testing.assert_allclose(chart.jacobian(z), [[-0.7, np.cos(0.4), 0, e], [0.4, 0, 3 * 0.49, -e]], rtol=1e-12)
    np.testing.assert_allclose(chart.second(z)[0, 1], [1, 0, 0, -e], rtol=1e-12)


def test_pullback_derivatives_are_those_of_the_loss_on_the_chart():
    chart = ParametricChart(lambda z: torch.stack([z[0] * z[1], z[0].sin(), z[1] ** 3, torch.exp(z[0] - z[1])]), 2)
    objective = of_function(lambda t: (t**2).sum() + t.prod() + t[0].cos(), 4)
    z = np.array([0.4, -0.7])
    found = pullback(objective, chart, z)

    def loss(z):
        t = chart._function(z)
        return (t**2).sum() + t.prod() + t[0].cos()

    point = torch.tensor(z)
    np.testing.assert_allclose(found.gradient, torch.autograd.functional.jacobian(loss, point), rtol=1e-10)
    np.testing.assert_allclose(found.hessian, torch.autograd.functional.hessian(loss, point), rtol=1e-10)
    # the restricted loss's own Hessian does not depend on the coordinates: stretch and bend them
    bent = ParametricChart(lambda w: chart._function(torch.stack([w[0] + 0.3 * w[1] ** 2, 2 * w[1]])), 2)
    w = np.array([0.4 - 0.3 * 0.35**2, -0.35])
    np.testing.assert_allclose(pullback(objective, bent, w).curvatures, found.curvatures, rtol=1e-9)
    assert 0 <= found.tangent_share <= 1


def test_flat_charts_are_recognised(rng):
    X = rng.normal(size=(40, 30))
    Z = rng.normal(size=(25, 2))
    flat = make_pipeline(RowSpace(), PCA(2)).fit(X)
    plane = as_plane(flat, Z, 30)
    np.testing.assert_allclose(plane.inverse_transform(Z), flat.inverse_transform(Z), atol=1e-10)
    curved = make_pipeline(RowSpace(), DiffusionMap(n_components=2)).fit(X)
    assert as_plane(curved, curved.transform(X), 30) is None
    assert as_plane(HYPERBOLA, np.linspace(-1, 1, 9)[:, None], 2) is None


def test_effective_potential():
    """Langevin steps in a double well: −log p = L/T up to a constant; a drifting walk is refused in words."""
    steps, T, eta = 100000, 0.5, 0.02
    z, noise = np.zeros(steps), np.random.default_rng(3).normal(size=steps)
    for t in range(1, steps):
        z[t] = z[t - 1] - eta * 4 * z[t - 1] * (z[t - 1] ** 2 - 1) + np.sqrt(2 * eta * T) * noise[t]
    axis = np.linspace(-1.6, 1.6, 27)
    found = effective_potential(z[::10, None], Grid((axis,)))
    assert found.reservations == []
    # the stationary density under Scott's kernel, by quadrature
    fine = np.linspace(-2.5, 2.5, 2001)
    density = np.exp(-((fine**2 - 1) ** 2) / T)
    width = z.std() * found.n_effective ** (-1 / 5)
    smooth = np.exp(-((axis[:, None] - fine) ** 2) / (2 * width**2)) @ density
    known = -np.log(smooth)
    np.testing.assert_allclose(found.values - found.values.mean(), known - known.mean(), atol=0.25)
    assert np.ptp(known) > 1
    walk = effective_potential(np.cumsum(noise[:2000])[:, None], Grid((axis,)))
    assert any("independent samples" in reason for reason in walk.reservations)
    cooling = noise[:4000, None] * np.linspace(1, 0.1, 4000)[:, None]
    assert any("noise changes" in reason for reason in effective_potential(cooling, Grid((axis,))).reservations)
    flat = effective_potential(np.random.default_rng(0).normal(size=(2000, 2)) * [1, 9], Grid((axis, axis)))
    assert any("not isotropic" in reason for reason in flat.reservations)
    with pytest.raises(InputError, match="Z: expected at least 20 finite rows"):
        effective_potential(z[:5, None], Grid((axis,)))
