"""Row space is exact: whatever is computed on it equals what is computed in parameter space."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
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
    assert streamed._kept is None
    kept = RowSpace().fit(thetas)
    np.testing.assert_allclose(streamed.transform(lazy), kept.transform(thetas), atol=1e-7)
    Z = np.random.default_rng(0).normal(size=(4, 79))
    np.testing.assert_allclose(streamed.inverse_transform(Z), kept.inverse_transform(Z), atol=1e-6)


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
