"""What a picture may claim: rank, area, labels, held-out gaps, and cells that were not evaluated."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.data.fan import Fan
from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.adaptive import refined_surface
from trajmap.projection.evidence import lift_area, lift_metrics, walk_shares
from trajmap.projection.held_out import held_out_lift_gap
from trajmap.projection.parametric import ParametricChart
from trajmap.projection.surfaces import surface
from trajmap.reduction.rowspace import RowSpace
from trajmap.scores.validation import TimeBlockSplit


class Point(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.zeros(size, dtype=torch.float64))

    def forward(self):
        return self.theta


def of_function(function, size):
    return Objective(Point(size), lambda m, _: function(m()), [torch.zeros(1)])


BOWL = of_function(lambda t: t.square().sum(), 40)


def curve_run(rng, T=120):
    angle = np.linspace(0, 3, T)
    basis = np.linalg.qr(rng.normal(size=(40, 2)))[0].T
    return Trajectory.of(np.stack([np.cos(angle), np.sin(angle)], axis=1) @ basis, layout=BOWL.layout)


def fan_run(rng):
    basis = np.linalg.qr(rng.normal(size=(40, 2)))[0].T
    return Trajectory.of(rng.uniform(-1, 1, size=(400, 2)) @ basis, layout=BOWL.layout)


def flat(run, n=41):
    chart = make_pipeline(RowSpace(), PCA(2, svd_solver="full")).fit(run.iterates)
    return surface(BOWL, chart, Grid.around(chart.transform(run.iterates), n_points=n), trajectory=run)


def test_one_run_is_a_curve_and_a_cloud_is_a_surface(rng):
    one, cloud = flat(curve_run(rng)), flat(fan_run(rng))
    assert one.is_a_curve
    # a band of half-width reach around an arc of length 3, and two half discs
    assert one.area == pytest.approx(2 * one.reach * 3 + np.pi * one.reach**2, rel=0.1)
    assert one.spread == pytest.approx(1, abs=0.15)
    assert not cloud.is_a_curve
    assert 1 < cloud.area < 4.5, "a part of the square that the cloud fills"


def test_area_and_rank_do_not_depend_on_the_coordinates(rng):
    run = fan_run(rng)
    Z = PCA(2, svd_solver="full").fit(run.iterates)
    plane = Plane(Z.mean_, Z.components_ * [[5.0], [0.2]])
    found = surface(BOWL, plane, Grid.around(plane.transform(run.iterates), n_points=41), trajectory=run)
    assert found.area == pytest.approx(flat(run).area, rel=0.1)
    assert found.rank_ratio == pytest.approx(flat(run).rank_ratio, rel=0.05)


def test_a_chart_that_stretches_a_curve_has_no_rank():
    thin = ParametricChart(
        lambda z: torch.cat([torch.stack([z[0], 1e-3 * z[1]]), torch.zeros(38, dtype=torch.float64)]),
        2,
        inverse=lambda X: X[:, :2] / [1, 1e-3],
    )
    run = Trajectory.of(
        np.pad(np.stack([np.linspace(0, 1, 50), np.zeros(50)], axis=1), ((0, 0), (0, 38))), layout=BOWL.layout
    )
    land = surface(BOWL, thin, Grid((np.linspace(0, 1, 9), np.linspace(-1, 1, 9))), trajectory=run)
    assert land.rank_ratio == pytest.approx(2e-3, rel=1e-6)


def test_metrics_of_a_known_lift():
    polar = ParametricChart(lambda z: torch.stack([z[0] * z[1].cos(), z[0] * z[1].sin()]), 2)
    grid = Grid((np.linspace(1, 2, 5), np.linspace(0, 1, 4)))
    found = lift_metrics(polar, grid, np.ones(grid.shape, dtype=bool))
    for G, place in zip(found, grid.points, strict=True):
        np.testing.assert_allclose(G, np.diag([1, place[0] ** 2]), atol=1e-12)
    assert len(lift_metrics(polar, grid, np.ones(grid.shape, dtype=bool), most=7)) == 7
    # ∫ r dr dφ over whole cells
    area = lift_area(polar, grid, np.ones(grid.shape, dtype=bool))
    assert area == pytest.approx(1.5 * 20 * (1 / 4) * (1 / 3))


def test_axes_say_the_variance_and_its_null(rng):
    walk = np.cumsum(rng.normal(size=(300, 40)), axis=0)
    land = flat(Trajectory.of(walk, layout=BOWL.layout))
    shares = PCA().fit(walk).explained_variance_ratio_
    assert land.labels[0] == f"PC 1: {shares[0]:.1%} of the variance (walk: 60.8%)"
    steps = np.tril(np.ones((300, 299)), -1)  # a walk of 300 points is this matrix times its 299 steps
    dense = np.linalg.svd(steps - steps.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(walk_shares(300, 3), (dense / dense.sum())[:3], rtol=1e-10)
    other = Plane(np.zeros(40), rng.normal(size=(2, 40)))
    run = Trajectory.of(walk, layout=BOWL.layout)
    label = surface(BOWL, other, Grid((np.array([0.0, 1]),) * 2), trajectory=run).labels[0]
    unit = other.directions[0] / np.linalg.norm(other.directions[0])
    share = np.var(walk @ unit) / np.var(walk, axis=0).sum()
    assert abs(float(label.split(":")[1].split("%")[0]) / 100 - share) < 0.3 * share + 0.01
    assert "random direction: 2.5%, 1 unit = " in label
    circle = ParametricChart(
        lambda z: torch.cat([torch.stack([3 * z[0].cos(), 3 * z[0].sin()]), torch.zeros(38, dtype=torch.float64)]),
        1,
        inverse=lambda X: np.arctan2(X[:, 1:2], X[:, :1]),
    )
    arc = Trajectory.of(circle.inverse_transform(np.linspace(0, 2, 50)[:, None]), layout=BOWL.layout)
    found = surface(BOWL, circle, Grid((np.linspace(0, 2, 9),)), trajectory=arc)
    assert found.labels == ["coordinate 1 (1 unit ≈ 3 in parameter distance)"]
    np.testing.assert_allclose(found.residuals, 0, atol=1e-12)


def test_the_scale_of_an_axis_is_the_length_of_its_unit():
    """A plane's is exact, with a run and without; a chart's of the polar kind is known; a library's own lift agrees."""
    plane = Plane(np.ones(40), np.stack([5 * np.eye(40)[3], np.eye(40)[0] - np.eye(40)[7]]))
    grid = Grid((np.linspace(-1, 1, 5), np.linspace(-3, 3, 4)))
    run = Trajectory.of(np.random.default_rng(1).normal(size=(9, 40)), layout=BOWL.layout)
    for land in (surface(BOWL, plane, grid), surface(BOWL, plane, grid, trajectory=run)):
        np.testing.assert_allclose(land.scale, [5, np.sqrt(2)], rtol=1e-12)
        np.testing.assert_allclose(land.extents, [10, 6 * np.sqrt(2)], rtol=1e-12)
    np.testing.assert_allclose(refined_surface(BOWL, plane, grid, levels=1).scale, [5, np.sqrt(2)], rtol=1e-12)
    flat = torch.zeros(38, dtype=torch.float64)
    polar = ParametricChart(lambda z: torch.cat([torch.stack([z[0] * z[1].cos(), z[0] * z[1].sin()]), flat]), 2)
    found = surface(BOWL, polar, Grid((np.linspace(1, 2, 5), np.linspace(0, 1, 4))))
    np.testing.assert_allclose(found.scale, [1, 1.5], atol=1e-9)  # |∂/∂φ| = r, from 1 to 2
    skew = make_pipeline(RowSpace(), PCA(2)).fit(run.iterates)
    np.testing.assert_allclose(surface(BOWL, skew, grid).scale, [1, 1], rtol=1e-9)


def test_held_out_gap_refits_on_what_stays(rng):
    run = Trajectory.of(np.cumsum(rng.normal(size=(40, 40)), axis=0), layout=BOWL.layout)
    seen = []

    def fit(rows):
        seen.append(rows)
        return make_pipeline(RowSpace(), PCA(2)).fit(run.iterates[rows])

    gap = held_out_lift_gap(BOWL, fit, run, TimeBlockSplit(4).split(run.iterates), decompose=True)
    assert [len(rows) for rows in seen] == [30] * 4
    assert gap.steps.tolist() == list(range(40))
    for rows in seen:
        test = np.setdiff1d(np.arange(40), rows)
        chart = make_pipeline(RowSpace(), PCA(2)).fit(run.iterates[rows])
        lifted = chart.inverse_transform(chart.transform(run.iterates[test]))
        np.testing.assert_allclose(gap.lifted_values[test], np.sum(lifted**2, axis=1), rtol=1e-9)
    np.testing.assert_allclose(gap.first_order + gap.second_order, gap.gap, atol=1e-8)
    summary = gap.summary
    assert summary["worst"] >= summary["q90"]
    assert summary["median"] == pytest.approx(np.median(gap.gap))


def test_refined_surface_evaluates_where_the_loss_bends():
    step = of_function(lambda t: torch.sigmoid(40 * (t[0] - 0.23)) + 0.0 * t.sum(), 3)
    plane = Plane(np.zeros(3), np.eye(2, 3))
    coarse = Grid((np.linspace(-1, 1, 11), np.linspace(0, 1, 4)))
    found = refined_surface(step, plane, coarse, levels=3)
    assert found.grid.shape == (81, 25)
    whole = surface(step, plane, found.grid).values
    evaluated = found.metrics["evaluated"] == 1
    np.testing.assert_allclose(found.values[evaluated], whole[evaluated], atol=1e-12)
    assert 0.05 < evaluated.mean() < 0.5
    assert np.abs(found.values - whole).max() < 0.05
    # what was not evaluated is far from the step
    assert np.abs(found.grid.points[~evaluated.ravel(), 0] - 0.23).min() > 0.05


def test_refined_surface_looks_closely_at_nan_and_keeps_it():
    edge = of_function(lambda t: (t[0] - 0.3).log() + 0 * t.sum(), 2)
    found = refined_surface(edge, Plane(np.zeros(2), np.eye(1, 2)), Grid((np.linspace(0, 1, 6),)), levels=3)
    x = found.grid.axes[0]
    assert np.isnan(found.values[x < 0.3]).all()
    near = (x > 0.3) & (x < 0.4)
    assert found.metrics["evaluated"][near].all()
    with pytest.raises(InputError, match="tolerance: expected"):
        refined_surface(edge, Plane(np.zeros(2), np.eye(1, 2)), Grid((np.linspace(0, 1, 6),)), tolerance=0)


def test_refined_surface_keeps_the_path_and_its_evidence(rng):
    run = curve_run(rng)
    chart = make_pipeline(RowSpace(), PCA(2)).fit(run.iterates)
    grid = Grid.around(chart.transform(run.iterates), n_points=7)
    found = refined_surface(BOWL, chart, grid, levels=1, trajectory=run)
    assert found.support.shape == found.values.shape == (13, 13)
    np.testing.assert_array_equal(found.support[::2, ::2], surface(BOWL, chart, grid, trajectory=run).support)


def test_three_axes():
    plane = Plane(np.zeros(40), np.eye(3, 40))
    grid = Grid((np.array([0.0, 1]), np.array([0.0, 2]), np.array([0.0, 3, 4])))
    found = surface(BOWL, plane, grid).values
    np.testing.assert_allclose(found.ravel(), np.sum(grid.points**2, axis=1))


def test_a_surface_of_several_runs_knows_where_each_begins():
    """Path values are those of the runs one after the other, against a loop over the iterates."""
    rng = np.random.default_rng(0)
    weights = np.diag([3.0, 1.0, 0.5])
    bowl = Objective.from_function(lambda x: float(x @ weights @ x), size=3, gradient=lambda x: 2 * weights @ x)
    runs = {name: np.cumsum(rng.normal(size=(n, 3)), axis=0) for name, n in (("sgd", 5), ("adam", 3))}
    layout = bowl.layout
    fan = Fan(tuple(runs), tuple(Trajectory.of(run, layout=layout) for run in runs.values()))
    plane = Plane(np.zeros(3), np.eye(2, 3))
    land = surface(bowl, plane, Grid((np.linspace(-1, 1, 3),) * 2), trajectory=fan)
    assert land.paths == {"sgd": slice(0, 5), "adam": slice(5, 8)}
    every = np.concatenate(list(runs.values()))
    np.testing.assert_allclose(land.path, every[:, :2], atol=1e-12)
    np.testing.assert_allclose(land.path_values, [x @ weights @ x for x in every])
