"""Surfaces, planes, lift gaps and tangents whose answer is known."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.data.layout import Layout
from trajmap.data.normalise import filter_norm, no_norm, tensor_norm
from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.directions.interpolation import interpolation_plane
from trajmap.directions.principal import principal_plane
from trajmap.directions.random import random_plane
from trajmap.errors import InputError, LayoutError
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.lift_gaps import lift_gap
from trajmap.projection.support import PathGeometry
from trajmap.projection.surfaces import surface
from trajmap.projection.tangents import tangent
from trajmap.reduction.rowspace import RowSpace


class Point(torch.nn.Module):
    """A model that is its parameter vector."""

    def __init__(self, size):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.zeros(size, dtype=torch.float64))

    def forward(self):
        return self.theta


def of_function(function, size):
    return Objective(Point(size), lambda m, _: function(m()), [torch.zeros(1)])


def bowl(curvatures):
    diagonal = torch.tensor(curvatures, dtype=torch.float64)
    return of_function(lambda t: 0.5 * (diagonal * t.square()).sum(), len(curvatures))


def test_quadratic_surface_is_exact_on_any_plane(rng):
    curvatures = np.array([4.0, 1.0, 0.25, -2.0])
    plane = Plane(rng.normal(size=4), rng.normal(size=(2, 4)))
    grid = Grid((np.linspace(-1, 1, 4), np.linspace(-3, 2, 7)))
    found = surface(bowl(curvatures), plane, grid, block=5).values
    for i, a in enumerate(grid.axes[0]):
        for j, b in enumerate(grid.axes[1]):
            theta = plane.origin + a * plane.directions[0] + b * plane.directions[1]
            assert found[i, j] == pytest.approx(0.5 * np.sum(curvatures * theta**2), rel=1e-13)


def test_surface_equals_set_weights_and_forward():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.ReLU(), torch.nn.Linear(7, 3))
    x, y = torch.randn(40, 5), torch.randint(3, (40,))
    model(x)
    objective = Objective(model, supervised(torch.nn.functional.cross_entropy), [(x, y)])
    plane = random_plane(objective, objective.theta, random_state=3)
    grid = Grid((np.linspace(-1, 1, 3), np.linspace(-1, 1, 5)))
    found = surface(objective, plane, grid).values
    assert found[1, 2] == pytest.approx(objective.value(objective.theta), rel=1e-6), "the model's own point is hit"
    dumb = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.ReLU(), torch.nn.Linear(7, 3))
    dumb.load_state_dict(model.state_dict())
    dumb.eval()
    for i, a in enumerate(grid.axes[0]):
        for j, b in enumerate(grid.axes[1]):
            theta = plane.origin + a * plane.directions[0] + b * plane.directions[1]
            torch.nn.utils.vector_to_parameters(torch.tensor(theta, dtype=torch.float32), dumb.parameters())
            with torch.no_grad():
                assert found[i, j] == pytest.approx(torch.nn.functional.cross_entropy(dumb(x), y).item(), rel=1e-6)


def test_nan_and_inf_cells_are_kept():
    objective = of_function(lambda t: torch.where(t[0] > 0, t[0].log(), t[0] / 0), 2)
    values = surface(
        objective, Plane(np.zeros(2), np.eye(2)), Grid((np.array([-1.0, 0, 1]), np.array([0.0, 1])))
    ).values
    assert np.isneginf(values[0]).all()
    assert np.isnan(values[1]).all()
    np.testing.assert_array_equal(values[2], [0, 0])


def relu_net(scale):
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(6, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3)).double()
    with torch.no_grad():
        model[0].weight.mul_(scale)
        model[0].bias.mul_(scale)
        model[2].weight.div_(scale)
    return model


def test_dinh_rescaling():
    """A ReLU network rescaled layer against layer is the same function; only filter norms see that."""
    x, y = torch.randn(50, 6, dtype=torch.float64), torch.randint(3, (50,))
    grid = Grid((np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)))

    def surfaces(normalise):
        for scale in (1, 10):
            objective = Objective(relu_net(scale), supervised(torch.nn.functional.cross_entropy), [(x, y)])
            plane = random_plane(objective, objective.theta, normalise=normalise, random_state=0)
            yield surface(objective, plane, grid).values

    plain, scaled = surfaces(filter_norm)
    np.testing.assert_allclose(scaled, plain, rtol=1e-5)
    plain, scaled = surfaces(no_norm)
    assert np.max(np.maximum(plain / scaled, scaled / plain)) > 2


def run_of(layout):
    return Trajectory.of(np.zeros((2, layout.size)), layout=layout)


def test_filter_norms_are_per_filter(rng):
    layout = Layout(("conv", "bias", "fc"), ((4, 3, 2, 2), (4,), (5, 8)))
    theta = rng.normal(size=layout.size) * np.geomspace(1, 100, layout.size)
    plane = random_plane(run_of(layout), theta, random_state=5)
    for direction in plane.directions:
        parts, model = layout.split(direction), layout.split(theta)
        assert not parts["bias"].any()
        for name in ("conv", "fc"):
            for mine, theirs in zip(parts[name], model[name], strict=True):
                assert np.linalg.norm(mine) == pytest.approx(np.linalg.norm(theirs), rel=1e-6)
    tensors = layout.split(tensor_norm(rng.normal(size=layout.size), theta, layout))
    for name, part in layout.split(theta).items():
        assert np.linalg.norm(tensors[name]) == pytest.approx(np.linalg.norm(part), rel=1e-9)


def test_random_directions_are_random():
    run = run_of(Layout(("w",), ((100, 50),)))
    directions = random_plane(run, np.ones(5000), n_components=40, normalise=no_norm).directions
    assert 0.45 < (directions > 0).mean() < 0.55
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    cosines = np.abs((unit @ unit.T)[np.triu_indices(40, 1)])
    # 780 pairs; the mean of |cos| is known to 3 %
    assert cosines.mean() == pytest.approx(np.sqrt(2 / (np.pi * 5000)), rel=0.12)
    np.testing.assert_array_equal(
        random_plane(run, np.ones(5000)).directions, random_plane(run, np.ones(5000)).directions
    )


def test_interpolation_of_a_quadratic():
    objective = bowl([4.0, 1.0, 0.25])
    delta = np.array([1.0, 2, 3])
    alpha = np.linspace(0, 1, 11)
    found = surface(objective, interpolation_plane(delta, np.zeros(3)), Grid((alpha,))).values
    np.testing.assert_allclose(found, (1 - alpha) ** 2 * objective.value(delta), atol=1e-12)
    double_well = of_function(lambda t: (t[0] ** 2 - 1) ** 2, 1)
    line = surface(double_well, interpolation_plane([-1.0], [1.0]), Grid((np.linspace(0, 1, 3),))).values
    assert line.max() - line[[0, -1]].mean() == 1.0
    three = interpolation_plane([0.0, 0, 0], [1.0, 0, 0], [0.0, 2, 0])
    np.testing.assert_array_equal(three.inverse_transform([[1, 0], [0, 1]]), [[1, 0, 0], [0, 2, 0]])
    with pytest.raises(InputError, match="linearly independent"):
        interpolation_plane([0.0, 0], [1.0, 1], [2.0, 2])


def gradient_descent(curvatures, start, eta=0.1, steps=60):
    factors = 1 - eta * np.asarray(curvatures)
    return np.array([start * factors**t for t in range(steps)])


@pytest.mark.parametrize("active", [1, 2, 4])
def test_gradient_descent_on_a_quadratic_has_the_rank_of_its_active_modes(active):
    curvatures = np.array([6.0, 4.0, 2.5, 1.2, 0.0, 0.0, 0.7])
    start = np.zeros(7)
    start[:active] = 1
    start[4] = 3  # a flat direction does not move
    path = gradient_descent(curvatures, start)
    assert RowSpace().fit(path).n_components_ == active
    plane = principal_plane(Trajectory.of(path), n_components=active)
    np.testing.assert_allclose(plane.inverse_transform(plane.transform(path)), path, atol=1e-7)


def test_principal_plane_through_the_last_iterate(rng):
    run = Trajectory.of(rng.normal(size=(20, 9)))
    plane = principal_plane(run, origin=-1)
    np.testing.assert_array_equal(plane.origin, run.theta(-1))
    np.testing.assert_allclose(plane.transform(run.theta(-1)[None]), [[0, 0]], atol=1e-12)
    expected = PCA(2, svd_solver="full").fit(run.iterates).components_
    np.testing.assert_allclose(np.abs(np.sum(plane.directions * expected, axis=1)), 1, rtol=1e-10)


def test_lift_gap_is_zero_on_a_plane_that_holds_the_path_and_exact_off_it():
    curvatures = np.array([4.0, 1.0, 0.5, 3.0])
    objective = bowl(curvatures)
    run = Trajectory.of(gradient_descent(curvatures, np.ones(4)), layout=objective.layout)
    whole = make_pipeline(RowSpace(), PCA(4)).fit(run.iterates)
    np.testing.assert_allclose(lift_gap(objective, whole, run).gap, 0, atol=1e-10)
    flat = make_pipeline(RowSpace(), PCA(2)).fit(run.iterates)
    found = lift_gap(objective, flat, run, every=3)
    theta = run.iterates[::3]
    residual = theta - flat.inverse_transform(flat.transform(theta))
    # Δ = −gᵀr + ½ rᵀHr, exactly, for a quadratic
    expected = -np.sum(curvatures * theta * residual, axis=1) + 0.5 * np.sum(curvatures * residual**2, axis=1)
    np.testing.assert_allclose(found.gap, expected, atol=1e-12)
    np.testing.assert_allclose(found.residuals, np.linalg.norm(residual, axis=1), atol=1e-12)
    assert found.steps.tolist() == list(range(0, 60, 3))


def test_lift_gap_control_costs_what_an_isotropic_step_costs(rng):
    P = 2000
    objective = bowl(np.linspace(0, 2, P))
    run = Trajectory.of(rng.normal(size=(6, P)), layout=objective.layout)
    chart = Plane(np.zeros(P), np.eye(2, P))
    found = lift_gap(objective, chart, run)
    # E[L(θ + ρu) − L(θ)] = ½ρ² tr H/P = ½ρ²; the linear term averages to ρ|g|/√P
    excess = found.control_values - found.values
    assert excess.mean() == pytest.approx(0.5 * np.mean(found.residuals**2), rel=0.1)


def test_path_and_support(rng):
    objective = bowl(np.ones(50))
    angle = np.linspace(0, np.pi, 80)
    basis = np.linalg.qr(rng.normal(size=(50, 2)))[0].T
    run = Trajectory.of(np.stack([np.cos(angle), np.sin(angle)], axis=1) @ basis, layout=objective.layout)
    chart = principal_plane(run)
    land = surface(
        objective, chart, Grid.around(chart.transform(run.iterates), n_points=15), trajectory=run, name="arc"
    )
    np.testing.assert_allclose(land.path, chart.transform(run.iterates))
    np.testing.assert_allclose(land.path_values, 0.5, rtol=1e-9)
    np.testing.assert_allclose(land.lifted_values, 0.5, rtol=1e-9)
    lifted = chart.inverse_transform(land.grid.points)
    brute = cdist(lifted, run.iterates).min(axis=1).reshape(land.grid.shape)
    # some grid points are iterates, to rounding
    np.testing.assert_allclose(land.distance, brute, rtol=1e-8, atol=1e-15)
    np.testing.assert_array_equal(land.support, brute <= land.reach)
    assert 0 < land.support.mean() < 0.5
    # blocks of 8 on a half circle: the farthest interior point of a block is 4 spacings from the next one
    spacing = 2 * np.sin(np.pi / 79 / 2)
    assert spacing < land.reach < 5 * spacing


def test_distance_keeps_its_digits_near_the_path(rng):
    path = 1e3 + np.cumsum(rng.normal(size=(30, 400)), axis=0)
    measure = PathGeometry(path)
    shift = 1e-6 * rng.normal(size=400)
    np.testing.assert_allclose(measure.nearest(path[[7]] + shift), np.linalg.norm(shift), rtol=1e-5)
    np.testing.assert_array_equal(measure.nearest(path), 0)
    assert np.isnan(measure.nearest(np.full((1, 400), np.nan))).all()


class Ring:
    """The unit circle in R^3 by its angle, a curved chart without a fit."""

    def transform(self, X):
        return np.arctan2(X[:, 1], X[:, 0])[:, None]

    def inverse_transform(self, Z):
        return np.stack([np.cos(Z[:, 0]), np.sin(Z[:, 0]), 0 * Z[:, 0]], axis=1)


def test_tangent_of_curved_and_flat_charts(rng):
    for z in (0.0, 0.7, -2.0):
        found = tangent(Ring(), [z])
        np.testing.assert_allclose(np.abs(found @ [-np.sin(z), np.cos(z), 0]), 1, rtol=1e-12)
    plane = Plane(np.zeros(6), rng.normal(size=(2, 6)))
    found = tangent(plane, [3.0, -1.0], fd_step=[0.1, 10])
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-12)
    projector = plane.directions.T @ np.linalg.pinv(plane.directions.T)
    np.testing.assert_allclose(found.T @ found, projector, atol=1e-9)
    with pytest.raises(InputError, match="independent directions"):
        tangent(Fold(), [0.0, 0.0])


class Fold(Ring):
    def inverse_transform(self, Z):
        return np.outer(Z.sum(axis=1), [1.0, 2.0, 3.0])


def test_worded_errors_come_before_any_evaluation(rng):
    objective = bowl(np.ones(4))
    objective.values = None  # any evaluation would fail
    grid = Grid((np.array([0.0, 1]), np.array([0.0, 1])))
    plane = Plane(np.zeros(4), np.eye(2, 4))
    run = Trajectory.of(rng.normal(size=(5, 4)), layout=objective.layout)
    with pytest.raises(InputError, match="chart: expected an object with transform and inverse_transform"):
        surface(objective, 3, grid)
    with pytest.raises(InputError, match=r"expected shape \(1, 4\)"):
        surface(objective, Plane(np.zeros(3), np.eye(2, 3)), grid)
    with pytest.raises(InputError, match=r"Z: expected shape \(any, 2\)"):
        surface(objective, plane, Grid((np.array([0.0, 1]),)))
    with pytest.raises(LayoutError, match="trajectory: expected"):
        surface(objective, plane, grid, trajectory=Trajectory.of(rng.normal(size=(5, 3))))
    with pytest.raises(LayoutError, match="trajectory: expected"):
        lift_gap(objective, plane, Trajectory.of(rng.normal(size=(5, 3))))
    with pytest.raises(InputError, match="block: expected an integer"):
        surface(objective, plane, grid, block=0, trajectory=run)
    with pytest.raises(InputError, match="fd_step: expected a finite number > 0"):
        tangent(plane, [0.0, 0.0], fd_step=0.0)
    with pytest.raises(InputError, match="theta: expected shape"):
        random_plane(run_of(Layout(("w",), ((4,),))), np.zeros(3))


def test_looking_at_a_surface_changes_nothing():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)).train()
    x = torch.randn(20, 3)
    model(x).sum().backward()
    objective = Objective(model, lambda m, b: m(b).square().mean(), [x])
    before = [t.clone() for t in [*model.state_dict().values(), *(p.grad for p in model.parameters())]]
    state = torch.get_rng_state()
    surface(objective, random_plane(objective, objective.theta), Grid((np.linspace(-1, 1, 4),) * 2))
    after = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
