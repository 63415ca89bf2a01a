"""Row space is exact: whatever is computed on it equals what is computed in parameter space."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.data.fan import Fan
from trajmap.data.iterates import Iterates
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.recording.recorder import Recorder
from trajmap.recording.sketch import CountSketch
from trajmap.reduction import rowspace
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.rowspace import RowSpace


@pytest.fixture(scope="module")
def thetas():
    rng = np.random.default_rng(0)
    return 30 + np.cumsum(rng.normal(size=(80, 5000)) * np.geomspace(1, 1e-2, 80)[:, None], axis=0)


def test_distances_are_kept(thetas):
    X = RowSpace().fit_transform(thetas)
    assert X.shape == (80, 79)
    np.testing.assert_allclose(pdist(X), pdist(thetas), rtol=1e-8)


def test_pca_scores_agree(thetas):
    ours = PCA(5, svd_solver="full").fit_transform(RowSpace().fit_transform(thetas))
    theirs = PCA(5, svd_solver="full").fit_transform(thetas)
    signs = np.sign(np.sum(ours * theirs, axis=0))
    np.testing.assert_allclose(ours * signs, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max())


def test_diffusion_coordinates_agree(thetas):
    ours, theirs = DiffusionMap(), DiffusionMap()
    Z = ours.fit_transform(RowSpace().fit_transform(thetas))
    np.testing.assert_allclose(Z, theirs.fit_transform(thetas), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(ours.eigenvalues_, theirs.eigenvalues_, rtol=1e-10)


def test_components_are_an_orthonormal_basis(thetas):
    space = RowSpace().fit(thetas)
    np.testing.assert_allclose(space.components_ @ space.components_.T, np.eye(79), atol=1e-8)
    np.testing.assert_allclose(space.singular_values_, np.linalg.svd(thetas - thetas.mean(0))[1][:79], rtol=1e-8)
    assert space.explained_variance_ratio_.sum() == pytest.approx(1)
    np.testing.assert_allclose(space.inverse_transform(space.transform(thetas)), thetas, rtol=1e-10)


def test_truncation_is_the_best_approximation(thetas):
    space = RowSpace(n_components=3).fit(thetas)
    residual = space.inverse_transform(space.transform(thetas)) - thetas
    values = np.linalg.svd(thetas - thetas.mean(0))[1]
    assert np.sum(residual**2) == pytest.approx(np.sum(values[3:] ** 2), rel=1e-9)
    assert space.explained_variance_ratio_.sum() == pytest.approx(np.sum(values[:3] ** 2) / np.sum(values**2))


def test_streaming_without_kept_components(thetas, tmp_path, monkeypatch):
    Trajectory.of(thetas).save(tmp_path)
    lazy = Trajectory.open(tmp_path).iterates
    monkeypatch.setattr(rowspace, "_KEEP_BYTES", 0)
    streamed = RowSpace(block_size=700).fit(lazy)
    assert not isinstance(streamed.frame().basis, np.ndarray)
    kept = RowSpace().fit(thetas)
    np.testing.assert_allclose(streamed.transform(lazy), kept.transform(thetas), atol=1e-7)
    Z = np.random.default_rng(0).normal(size=(4, 79))
    np.testing.assert_allclose(streamed.inverse_transform(Z), kept.inverse_transform(Z), atol=1e-6)


@pytest.fixture
def lazy(thetas, tmp_path):
    Trajectory.of(thetas.astype(np.float32)).save(tmp_path / "run")
    return Trajectory.open(tmp_path / "run").iterates


@pytest.mark.parametrize("keep", [0, 2**29])
@pytest.mark.parametrize("options", [{}, {"n_components": 4}, {"n_components": 4, "lift_dtype": np.float32}])
def test_the_frame_lifts_as_the_space_does(lazy, keep, options, monkeypatch):
    monkeypatch.setattr(rowspace, "_KEEP_BYTES", keep)
    space = RowSpace(block_size=700, **options).fit(lazy)
    Z = np.random.default_rng(0).normal(size=(3, space.n_components_))
    frame = space.frame()
    assert isinstance(frame.basis, np.ndarray) == bool(keep)
    assert frame.basis.shape == space.components_.shape
    assert frame.basis.dtype == options.get("lift_dtype", np.float64)
    points = space.inverse_transform(Z)
    tolerance = 20 * np.finfo(points.dtype).eps * np.abs(points).max()
    np.testing.assert_allclose(frame.points(space.coefficients(Z)), points, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(frame.basis[1:3, 5:9], frame.basis[:, 5:9][1:3])
    with pytest.raises(InputError, match="Z: expected shape"):
        space.coefficients(Z[:, 1:])


@pytest.mark.parametrize("options", [{"n_components": 4}, {"n_components": 0.9}, {"n_components": 4, "dtype": "f4"}])
@pytest.mark.parametrize("increments", [False, True])
def test_residuals_are_the_distances_from_what_was_kept(thetas, options, increments):
    space = RowSpace(**options, increments=increments).fit(thetas)
    centred = thetas - thetas.mean(axis=0)
    basis = np.linalg.svd(centred, full_matrices=False)[2][: space.n_components_]
    exact = np.linalg.norm(centred - centred @ basis.T @ basis, axis=1)
    np.testing.assert_allclose(space.residuals_, exact, rtol=1e-4 if "dtype" in options else 1e-8)
    assert not RowSpace(increments=increments).fit(thetas).residuals_.any()
    flat = thetas[:, :3] @ np.random.default_rng(1).normal(size=(3, 100))
    assert not RowSpace(n_components=3).fit(flat).residuals_.any()


def test_iterates_that_were_fitted_are_recognised(lazy, tmp_path):
    chart = make_pipeline(RowSpace(), PCA(2)).fit(lazy)
    space, run = chart[0], Trajectory.open(tmp_path / "run")
    expected, plane = space.transform(lazy[:]), chart.transform(lazy[:])
    np.testing.assert_allclose(space.embedding_, expected, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_array_equal(space.fitted_places(run.iterates.take([7, 0, 7])), [7, 0, 7])
    again = pickle.loads(pickle.dumps(chart))
    shutil.rmtree(tmp_path / "run")  # whatever is read from now on fails
    for fitted in (chart, again):
        tolerance = 1e-6 * np.abs(plane).max()
        np.testing.assert_allclose(fitted.transform(lazy), plane, atol=tolerance)
        np.testing.assert_allclose(fitted.transform(run.iterates), plane, atol=tolerance)
        np.testing.assert_allclose(fitted.transform(run.thin(3).iterates), plane[::3], atol=tolerance)
        np.testing.assert_allclose(fitted.transform(run.iterates.take([5, 2])), plane[[5, 2]], atol=tolerance)


def test_what_is_not_certainly_a_fitted_iterate_is_read(lazy, thetas, tmp_path):
    space = RowSpace(n_components=3).fit(lazy)
    assert space.fitted_places(lazy[:]) is None, "an array may have been written to"
    assert space.fitted_places(lazy.narrow([slice(0, 4999)])) is None
    assert space.fitted_places(lazy.narrow([slice(0, 9), slice(9, 5000)])) is not None
    assert space.fitted_places(lazy.narrow([slice(9, 5000), slice(0, 9)])) is None
    other = thetas.copy()
    other[3, 17] += 1
    Trajectory.of(other.astype(np.float32)).save(tmp_path / "other")
    elsewhere = Trajectory.open(tmp_path / "other").iterates
    assert space.fitted_places(elsewhere) is None
    assert space.fitted_places(Iterates.stack([lazy, elsewhere])) is None
    (tmp_path / "run").rename(tmp_path / "old")
    (tmp_path / "other").rename(tmp_path / "run")
    replaced = Trajectory.open(tmp_path / "run").iterates
    assert space.fitted_places(replaced) is None
    moved = space.transform(replaced) - space.embedding_
    assert np.abs(moved[3]).max() > 1e3 * np.abs(np.delete(moved, 3, axis=0)).max()
    assert RowSpace(n_components=3).fit(thetas).fitted_places(lazy) is None


def test_a_pickle_of_a_large_space_holds_no_iterates(lazy, monkeypatch):
    monkeypatch.setattr(rowspace, "_KEEP_BYTES", 0)
    space = RowSpace().fit(lazy)
    # the mean, twice, and numbers for each pair of iterates, but not the 1.6 MB of these
    assert len(pickle.dumps(space)) < 8 * (lazy.shape[1] + 4 * 80**2) + 80 * 1000


def late_small_steps(T=300, P=40_000, mean=30.0):
    """Iterates far from zero whose late steps are 1e-4 of the early ones; kept in float32 as a recorder would."""
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(T, P)) * np.geomspace(1, 1e-4, T)[:, None]
    return (mean + np.cumsum(steps, axis=0)).astype(np.float32)


def test_products_in_float32_keep_small_steps():
    """Uncentred float32 products lose them altogether; products of the steps do not."""
    thetas = late_small_steps()
    exact = np.linalg.norm(np.diff(thetas.astype(np.float64), axis=0), axis=1)
    X = RowSpace().fit_transform(thetas)
    np.testing.assert_allclose(np.linalg.norm(np.diff(X, axis=0), axis=1)[:200], exact[:200], rtol=1e-5)
    np.testing.assert_allclose(pdist(X[::7]), pdist(thetas[::7].astype(np.float64)), rtol=2e-5)
    careful = RowSpace(increments=True).fit_transform(thetas)
    np.testing.assert_allclose(np.linalg.norm(np.diff(careful, axis=0), axis=1), exact, rtol=1e-6)
    np.testing.assert_allclose(pdist(careful[::7]), pdist(thetas[::7].astype(np.float64)), rtol=1e-6)
    # what a float32 Gram matrix of the iterates themselves would say of the last step
    naive = thetas @ thetas.T
    last = naive[-1, -1] + naive[-2, -2] - 2 * naive[-1, -2]
    assert abs(last - exact[-1] ** 2) > 10 * exact[-1] ** 2


def test_increments_resolve_what_a_gram_matrix_cannot():
    """Steps of 1e-10 of the extent, in float64."""
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.normal(size=(40, 500)) * np.geomspace(1, 1e-10, 40)[:, None], axis=0)
    careful = RowSpace(increments=True).fit_transform(X)
    exact = np.linalg.norm(np.diff(X, axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(careful, axis=0), axis=1), exact, rtol=1e-4)
    plain = RowSpace().fit_transform(X)
    assert np.abs(np.linalg.norm(np.diff(plain, axis=0), axis=1) / exact - 1).max() > 0.1
    space = RowSpace(increments=True).fit(X)
    np.testing.assert_allclose(space.inverse_transform(careful), X, atol=1e-12)
    # a basis vector along a direction of 1e-10 of the extent is itself right to 1e-6 only
    np.testing.assert_allclose(space.transform(X), careful, atol=1e-5)


def test_number_formats_and_devices_agree(thetas):
    wide = RowSpace().fit_transform(thetas)
    for options in ({"dtype": np.float32}, {"device": "cpu"}, {"block_size": 333}):
        X = RowSpace(n_components=5, **options).fit_transform(thetas)
        np.testing.assert_allclose(X, wide[:, :5], rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="dtype: expected float32 or float64"):
        RowSpace(dtype=np.float16).fit(thetas)


def test_squares_beyond_float32_are_summed_in_float64():
    X = np.array([[0, 0], [1e25, 0], [0, 3e25]], np.float32)
    np.testing.assert_allclose(pdist(RowSpace().fit_transform(X)), [1e25, 3e25, 10**0.5 * 1e25], rtol=1e-6)
    with pytest.raises(InputError, match="numbers whose squares are finite"):
        RowSpace().fit(1e200 * np.eye(3))


def test_truncation_by_variance(thetas):
    space = RowSpace(n_components=0.99).fit(thetas)
    ratios = RowSpace().fit(thetas).explained_variance_ratio_
    assert space.n_components_ == np.searchsorted(np.cumsum(ratios), 0.99) + 1
    assert space.explained_variance_ratio_.sum() >= 0.99


def test_sketches_carry_their_error(tmp_path):
    model = torch.nn.Linear(50, 40)
    with Recorder(model, tmp_path / "run", sketch=CountSketch(size=512)) as recorder:
        for _ in range(4):
            with torch.no_grad():
                model.weight += torch.randn(40, 50)
            recorder.record()
    run = Trajectory.open(tmp_path / "run")
    assert RowSpace().fit(run.iterates[:]).distance_error_ == 0, "a plain array is taken at its word"
    for iterates in (run.iterates, run.thin(2).iterates, Fan(("a", "b"), (run, run)).iterates):
        assert RowSpace().fit(iterates).distance_error_ == pytest.approx(0.5 * (2 / 512) ** 0.5)


def test_rank_is_found():
    rng = np.random.default_rng(0)
    assert RowSpace().fit(rng.normal(size=(30, 4)) @ rng.normal(size=(4, 200))).n_components_ == 4


def test_the_users_array_is_not_changed(thetas):
    copy = thetas.copy()
    RowSpace().fit(copy).transform(copy)
    np.testing.assert_array_equal(copy, thetas)


def test_worded_errors(thetas):
    broken = thetas[:20, :10].copy()
    broken[[3, 11]] = np.nan
    with pytest.raises(InputError, match=r"NaN or inf in 2 of n_samples = 20 rows \(3, 11\).*trajectory.finite"):
        RowSpace().fit(broken)
    with pytest.raises(InputError, match="points that differ"):
        RowSpace().fit(np.ones((5, 4)))
    with pytest.raises(InputError, match="at most 4, the rank of the points"):
        RowSpace(n_components=5).fit(thetas[:5])
    with pytest.raises(ValueError, match="1 sample"):
        RowSpace().fit(thetas[:1])
    with pytest.raises(InputError, match="tol"):
        RowSpace(tol=-1).fit(thetas)
