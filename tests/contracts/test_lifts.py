"""What every lift promises, and how they differ beyond the data."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface
from trajmap.reduction._stretch import Stretch
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.gaussian_process import GaussianProcessLift
from trajmap.reduction.lifted import Lifted
from trajmap.reduction.lifts import BarycentricLift, KernelRidgeLift, LinearLift, ThinPlateLift
from trajmap.reduction.rowspace import RowSpace

LIFTS = {
    "linear": LinearLift(),
    "barycentric": BarycentricLift(),
    "thin plate": ThinPlateLift(),
    "kernel ridge": KernelRidgeLift(alpha=1e-6),
    "gaussian process": GaussianProcessLift(),
}
each = pytest.mark.parametrize("name", LIFTS)
CURVED = ("barycentric", "thin plate", "kernel ridge", "gaussian process")


@pytest.fixture(scope="module")
def cloud():
    """A curved sheet in five dimensions over two coordinates."""
    Z = np.random.default_rng(0).uniform(-1, 1, size=(150, 2))
    return Z, sheet(Z)


def sheet(Z):
    u, v = Z.T
    return 3 + np.stack([u, v, u * v, np.sin(2 * u), np.cos(v)], axis=1)


@each
def test_two_fits_agree_and_nothing_given_is_changed(name, cloud):
    Z, X = (array.copy() for array in cloud)
    first, second = clone(LIFTS[name]).fit(Z, X), clone(LIFTS[name]).fit(Z, X)
    np.testing.assert_array_equal(first.predict(Z[:9]), second.predict(Z[:9]))
    np.testing.assert_array_equal(Z, cloud[0])
    np.testing.assert_array_equal(X, cloud[1])
    assert first.predict(Z[:9]).shape == (9, 5)
    assert first.uncertainty(Z[:9]).shape == (9,)


@each
def test_curved_lifts_follow_a_curved_sheet(name, cloud):
    Z, X = cloud
    inside = np.random.default_rng(1).uniform(-0.9, 0.9, size=(60, 2))
    error = np.linalg.norm(clone(LIFTS[name]).fit(Z, X).predict(inside) - sheet(inside), axis=1)
    spread = np.linalg.norm(X - X.mean(axis=0), axis=1).mean()
    assert error.mean() < (0.12 if name in CURVED else 0.5) * spread
    if name == "linear":
        assert error.mean() > 0.12 * spread


@each
def test_isometries_and_shifts_of_the_points_go_through(name, cloud):
    Z, X = cloud
    Q = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
    plain, turned = clone(LIFTS[name]).fit(Z, X), clone(LIFTS[name]).fit(Z, X @ Q - 7)
    np.testing.assert_allclose(turned.predict(Z[:5] + 0.01), plain.predict(Z[:5] + 0.01) @ Q - 7, atol=2e-3)


@each
def test_uncertainty_grows_away_from_the_points(name, cloud):
    Z, X = cloud
    lift = clone(LIFTS[name]).fit(Z, X)
    near, middle, far = lift.uncertainty(np.array([Z[0], [1.3, 0.0], [4.0, 0.0]]))
    assert near < middle < far


def test_the_barycentric_lift_cannot_leave_the_hull(cloud):
    Z, X = cloud
    lifted = clone(LIFTS["barycentric"]).fit(Z, X).predict(np.random.default_rng(3).normal(size=(50, 2)) * 100)
    assert (lifted >= X.min(axis=0) - 1e-12).all()
    assert (lifted <= X.max(axis=0) + 1e-12).all()
    np.testing.assert_allclose(clone(LIFTS["barycentric"]).fit(Z, X).predict(Z), X, atol=1e-12)


def test_a_gaussian_process_says_how_wrong_it_is(cloud):
    """Its deviation is of the size of its error where there are no points."""
    rng = np.random.default_rng(4)
    Z, X = cloud
    keep = np.linalg.norm(Z - [0.4, 0.4], axis=1) > 0.5
    lift = GaussianProcessLift().fit(Z[keep], X[keep])
    hole = np.array([0.4, 0.4]) + 0.2 * rng.uniform(-1, 1, size=(40, 2))
    error = np.linalg.norm(lift.predict(hole) - sheet(hole), axis=1)
    told = lift.uncertainty(hole)
    assert 0.1 < np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(told**2)) < 3


def test_stretch_by_hand():
    Z = np.array([[0.0], [1.0], [2.0], [2.0]])
    X = np.array([[0.0], [5.0], [10.0], [10.0]])
    stretch = Stretch(Z, X, n_neighbors=3)
    np.testing.assert_allclose(stretch(np.array([[0.0], [-1.0], [3.0]])), [0, 5, 5])
    assert np.isnan(stretch(np.array([[np.nan]]))).all()


def test_residuals_are_carried(cloud):
    _, X = cloud
    for residual in (False, True):
        chart = Lifted(PCA(2), LinearLift(), residual=residual).fit(X)
        error = np.abs(chart.inverse_transform(chart.transform(X)) - X).max()
        assert (error < 1e-9) == residual
    np.testing.assert_allclose(
        Lifted(PCA(2), LinearLift()).fit(X).inverse_transform([[0.3, 0.1]]),
        PCA(2).fit(X).inverse_transform([[0.3, 0.1]]),
    )
    assert Lifted(PCA(2)).fit(X).name == "PCA"


@each
def test_worded_errors(name, cloud):
    Z, X = cloud
    lift = clone(LIFTS[name])
    with pytest.raises(InputError, match="X: expected shape"):
        lift.fit(Z, X[:-1])
    with pytest.raises(InputError, match="at least 2 finite points"):
        lift.fit(np.where(np.arange(150)[:, None] == 3, np.nan, Z), X)
    with pytest.raises(InputError, match="Z: expected shape"):
        lift.fit(Z, X).predict(np.zeros((2, 3)))


def test_cells_far_from_the_embedded_run_are_masked_whatever_the_lift():
    """A convex lift stays near the run everywhere; its uncertainty says where that is no evidence."""
    t = np.linspace(0, 1, 60)
    thetas = np.stack([np.cos(3 * t), np.sin(3 * t), t, 0 * t], axis=1)
    run = Trajectory.of(thetas)
    import torch

    objective = Objective(torch.nn.Linear(4, 1, bias=False), lambda m, x: m(x).square().sum(), [torch.eye(4)])
    run = Trajectory.of(thetas, layout=objective.layout)
    for embedding in (DiffusionMap(), Lifted(PCA(2), GaussianProcessLift()), Autoencoder(max_iter=100)):
        chart = make_pipeline(RowSpace(), embedding).fit(run.iterates)
        grid = Grid.around(chart.transform(run.iterates), n_points=15, margin=0.5)
        land = surface(objective, chart, grid, trajectory=run)
        assert 0.02 < land.support.mean() < 0.7
        nearest = np.abs(grid.points[:, None] - land.path[None]).sum(axis=2).argmin(axis=0)
        assert land.support.ravel()[nearest].mean() > 0.6, "the path itself is supported"
