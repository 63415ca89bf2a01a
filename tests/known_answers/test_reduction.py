"""Reductions of point sets whose answer is known."""

import numpy as np
import pytest
from pydiffmap import diffusion_map as pydiffmap
from sklearn.decomposition import PCA

from trajmap.errors import InputError
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.bandwidth import berry_giannakis_harlim
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.lifting import fit_barycentric_lift


def circle(n, phase=0.0):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False) + phase
    return np.stack([np.cos(angle), np.sin(angle)], axis=1), angle


def test_segment_has_cosines_and_squares():
    s = np.linspace(0, 1, 400)
    fitted = DiffusionMap(n_components=4, alpha=1.0, epsilon=2e-4).fit(np.outer(s, [3.0, 4.0]) / 5)
    for k in range(1, 5):
        assert abs(np.corrcoef(fitted.embedding_[:, k - 1], np.cos(k * np.pi * s))[0, 1]) > 0.998
    # the generator of the unit segment has −(kπ)²; the bandwidth blurs the ends by a few per cent
    np.testing.assert_allclose(fitted.generator_eigenvalues_, -((np.arange(1, 5) * np.pi) ** 2), rtol=0.06)
    ratios = np.log(fitted.eigenvalues_) / np.log(fitted.eigenvalues_[0])
    np.testing.assert_allclose(ratios, [1, 4, 9, 16], rtol=0.05)


def test_circle_has_pairs():
    X, _ = circle(400)
    fitted = DiffusionMap(n_components=4, alpha=1.0, epsilon=2.5e-3).fit(X)
    # λ = exp(−ε k²) up to terms of order ε² in the curvature
    np.testing.assert_allclose(np.log(fitted.eigenvalues_) / -2.5e-3, [1, 1, 4, 4], rtol=0.02)
    np.testing.assert_allclose(np.linalg.norm(fitted.embedding_[:, :2], axis=1), np.sqrt(2) * fitted.eigenvalues_[0])


def test_extension_is_the_eigenfunction_off_the_samples():
    X, _ = circle(200)
    fitted = DiffusionMap(n_components=2, alpha=1.0, epsilon=5e-3, t=0).fit(X)
    between, _ = circle(200, phase=np.pi / 200)
    found = fitted.transform(between)
    # rotating the circle by half a spacing rotates the pair of eigenfunctions by the same angle: the norm stays
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.sqrt(2), rtol=1e-6)
    turn = np.arctan2(*found.T) - np.arctan2(*fitted.embedding_.T)
    np.testing.assert_allclose(np.abs(np.angle(np.exp(1j * turn))), np.pi / 200, rtol=1e-6)


def test_extension_of_the_fitted_points_is_their_embedding():
    X = np.random.default_rng(0).normal(size=(120, 5))
    fitted = DiffusionMap(n_components=3, t=2).fit(X)
    np.testing.assert_allclose(fitted.transform(X), fitted.embedding_, rtol=1e-8, atol=1e-10)
    assert np.isfinite(fitted.transform(X[:1] + 1e6)).all(), "far from the data the kernel underflows"


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_agrees_with_pydiffmap(alpha):
    X = np.random.default_rng(1).normal(size=(150, 3)) * [3, 1, 0.3]
    ours = DiffusionMap(n_components=3, alpha=alpha, epsilon=0.5, t=0).fit(X)
    for _ in range(5):  # its ARPACK starts at random and misses an eigenvalue once in fifty fits
        theirs = pydiffmap.DiffusionMap.from_sklearn(n_evecs=3, alpha=alpha, epsilon=0.5, k=150).fit(X)
        if np.allclose(ours.generator_eigenvalues_, theirs.evals, rtol=1e-8):
            break
    np.testing.assert_allclose(ours.generator_eigenvalues_, theirs.evals, rtol=1e-8)
    for mine, other in zip(ours.embedding_.T, theirs.evecs.T, strict=True):
        assert abs(mine @ other) / np.linalg.norm(mine) / np.linalg.norm(other) == pytest.approx(1, abs=1e-8)


def test_bandwidth_rule_is_pydiffmaps():
    X, _ = circle(150)
    theirs = pydiffmap.DiffusionMap.from_sklearn(n_evecs=2, epsilon="bgh", k=150).fit(X)
    # ours runs on data of unit variance: the same power of two, times that variance
    ours = DiffusionMap(epsilon=berry_giannakis_harlim).fit(X).epsilon_
    assert 0.5 <= ours / theirs.epsilon_fitted <= 2
    assert DiffusionMap(epsilon=berry_giannakis_harlim).fit(1000 * X).epsilon_ == pytest.approx(1e6 * ours)


def test_isometries_change_nothing():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(80, 4))
    Q = np.linalg.qr(rng.normal(size=(30, 4)))[0]
    np.testing.assert_allclose(
        DiffusionMap().fit_transform(X @ Q.T + 5), DiffusionMap().fit_transform(X), rtol=1e-7, atol=1e-9
    )


def test_duplicates_are_points_of_double_weight():
    X = np.repeat(np.random.default_rng(3).normal(size=(40, 3)), 2, axis=0)
    Z = DiffusionMap(epsilon=0.5).fit_transform(X)
    np.testing.assert_allclose(Z[::2], Z[1::2], atol=1e-10)


def test_diffusion_map_words_its_errors():
    rng = np.random.default_rng(0)
    apart = np.concatenate([rng.normal(size=(20, 2)), 1000 + rng.normal(size=(20, 2))])
    with pytest.raises(InputError, match=r"points connected by the kernel.*a larger epsilon"):
        DiffusionMap(epsilon=1.0).fit(apart)
    with pytest.raises(InputError, match=r"eigenvalues above rounding.*fewer coordinates"):
        DiffusionMap(n_components=5, epsilon=1e13).fit(rng.normal(size=(30, 6)))
    with pytest.raises(InputError, match="at most n_samples − 2 = 1 coordinates of 3 points"):
        DiffusionMap().fit(rng.normal(size=(3, 3)))
    with pytest.raises(InputError, match=r"alpha: expected a number in \[0, 1\]"):
        DiffusionMap(alpha=2.0).fit(apart)
    with pytest.raises(InputError, match="points that differ"):
        DiffusionMap().fit(np.ones((10, 3)))


def spiral(n=200):
    t = np.linspace(0, 1, n)
    return np.stack([t * np.cos(5 * t), t * np.sin(5 * t), 0.3 * np.sin(9 * t), t**2], axis=1)


def relative_error(estimator, X):
    lifted = estimator.inverse_transform(estimator.fit(X).transform(X))
    return np.sum((lifted - X) ** 2) / np.sum((X - X.mean(axis=0)) ** 2)


def test_eckart_young():
    X = spiral()
    values = np.linalg.svd(X - X.mean(axis=0))[1] ** 2
    for d in (1, 2, 3):
        best = values[d:].sum() / values.sum()
        assert relative_error(PCA(d), X) == pytest.approx(best, rel=1e-9)
        linear = relative_error(Autoencoder(d, hidden=(), max_iter=300), X)
        # never better (1e-9: rounding), and within 1 % of the best
        assert best * (1 - 1e-9) <= linear <= best * 1.01


def test_a_curved_chart_beats_the_plane():
    X = spiral()
    assert relative_error(Autoencoder(2), X) < 0.5 * relative_error(PCA(2), X)


def test_autoencoder_commutes_with_scale_and_shift():
    X = spiral()
    plain, moved = Autoencoder(2, max_iter=100).fit(X), Autoencoder(2, max_iter=100).fit(1000 * X + 7)
    np.testing.assert_allclose(moved.transform(1000 * X + 7), 1000 * plain.transform(X), rtol=1e-3, atol=1)


def test_barycentric_lift_is_exact_on_points_and_convex():
    rng = np.random.default_rng(0)
    Z, X = rng.normal(size=(50, 2)), rng.normal(size=(50, 3))
    lift = fit_barycentric_lift(Z, X, n_neighbors=5)
    np.testing.assert_allclose(lift.predict(Z), X, atol=1e-12)
    far = lift.predict(100 * rng.normal(size=(200, 2)))
    assert (far <= X.max(axis=0)).all()
    assert (far >= X.min(axis=0)).all()
    query = rng.normal(size=2)
    distances = np.linalg.norm(Z - query, axis=1)
    near = np.argsort(distances)[:5]
    weights = 1 / distances[near]
    np.testing.assert_allclose(lift.predict(query[None])[0], weights @ X[near] / weights.sum())
