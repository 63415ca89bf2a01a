"""Diffusion maps beyond the default: known spectra, variable bandwidth, the sparse solve, independent coordinates."""

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from scipy.stats import norm, spearmanr
from sklearn.datasets import make_swiss_roll

from trajmap.errors import InputError
from trajmap.reduction.bandwidth import (
    berry_giannakis_harlim,
    connecting_distance,
    kernel_slope,
    local_scales,
    median_distance,
    neighbour_distance,
)
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.independence import coordinate_residuals, independent_coordinates


def test_segment():
    s = np.linspace(0, 1, 1200)[:, None]
    fitted = DiffusionMap(n_components=3, alpha=1.0, epsilon=1e-4).fit(s)
    # the border makes the segment longer by the kernel's width, 1.5 %
    np.testing.assert_allclose(fitted.generator_eigenvalues_, -((np.pi * np.arange(1, 4)) ** 2), rtol=0.04)
    for k in range(3):
        assert abs(np.corrcoef(fitted.embedding_[:, k], np.cos((k + 1) * np.pi * s[:, 0]))[0, 1]) > 0.998


@pytest.mark.parametrize("alpha", [0.5, 0.0])
def test_ornstein_uhlenbeck(alpha):
    """Points with a Gaussian density: the Fokker–Planck spectrum is −1, −2, −3 at α = ½ and twice that at α = 0."""
    x = norm.ppf((np.arange(1500) + 0.5) / 1500)[:, None]
    fitted = DiffusionMap(n_components=3, alpha=alpha, epsilon=0.01).fit(x)
    expected = -np.arange(1, 4) * (1 if alpha == 0.5 else 2)
    np.testing.assert_allclose(fitted.generator_eigenvalues_, expected, rtol=0.1)
    assert abs(np.corrcoef(fitted.embedding_[:, 0], x[:, 0])[0, 1]) > 0.99, "the first Hermite function"


@pytest.mark.slow
def test_swiss_roll_is_unrolled():
    """Two coordinates, the second of which is not the second in the spectrum: that one is a harmonic."""
    X, angle = make_swiss_roll(1500, noise=0.0, random_state=0)
    X[:, 1] *= 1.25  # so that no mode across has the eigenvalue of one along, and the two do not mix
    height = X[:, 1]
    fitted = DiffusionMap(n_components=8, alpha=1.0, epsilon=1.0, t=0).fit(X)
    places = independent_coordinates(fitted.embedding_, 2)
    assert places[0] == 0
    assert places[1] > 1
    assert abs(spearmanr(fitted.embedding_[:, 0], angle)[0]) > 0.98
    assert abs(spearmanr(fitted.embedding_[:, places[1]], height)[0]) > 0.9
    assert coordinate_residuals(fitted.embedding_)[1] < 0.3 < coordinate_residuals(fitted.embedding_)[places[1]]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_default_bandwidth_unrolls_the_swiss_roll(seed):
    X, angle = make_swiss_roll(1500, random_state=seed)
    assert abs(spearmanr(DiffusionMap().fit_transform(X)[:, 0], angle)[0]) > 0.98


def test_the_default_bandwidth_finds_segment_circle_and_torus():
    """Laplacian eigenvalues of the segment are k², of the circle 1, 1, 4, 4; functions cos and sin of the angle."""
    for s in (np.linspace(0, 1, 60), np.linspace(0, 1, 400)):
        fitted = DiffusionMap(n_components=3, alpha=1.0).fit(s[:, None])
        np.testing.assert_allclose(
            fitted.generator_eigenvalues_ / fitted.generator_eigenvalues_[0], [1, 4, 9], rtol=0.05
        )
        assert abs(np.corrcoef(fitted.embedding_[:, 0], np.cos(np.pi * s))[0, 1]) > 0.998
    for n in (60, 300):
        angle = 2 * np.pi * np.arange(n) / n
        fitted = DiffusionMap(n_components=4).fit(np.stack([np.cos(angle), np.sin(angle)], axis=1))
        ratios = fitted.generator_eigenvalues_ / fitted.generator_eigenvalues_[0]
        np.testing.assert_allclose(ratios, [1, 1, 4, 4], rtol=0.05)
    around, along = np.random.default_rng(0).uniform(0, 2 * np.pi, size=(2, 1000))
    wide = 3 + np.cos(along)
    torus = np.stack([wide * np.cos(around), wide * np.sin(around), np.sin(along)], axis=1)
    Z = DiffusionMap().fit_transform(torus)
    for wanted in (np.cos(around), np.sin(around)):
        left = np.linalg.lstsq(np.column_stack([np.ones(1000), Z]), wanted)[1]
        assert left[0] < 0.05 * np.sum((wanted - wanted.mean()) ** 2)


@pytest.mark.parametrize("last", [1.0, 1e-2, 1e-4])
def test_the_default_bandwidth_does_not_tear_a_run_whose_steps_shrink(last):
    steps = np.random.default_rng(0).normal(size=(80, 2000)) * np.geomspace(1, last, 80)[:, None]
    X = np.cumsum(steps, axis=0)
    fitted = DiffusionMap().fit(X)
    # the kernel of the longest step is 1/e at least
    assert np.exp(-np.sum(steps[1:] ** 2, axis=1).max() / (4 * fitted.epsilon_)) > np.exp(-1) - 1e-9
    assert 1 - fitted.eigenvalues_[0] > 1e-6
    early = slice(0, 40)
    assert abs(spearmanr(fitted.embedding_[early, 0], np.arange(40))[0]) > 0.95


def test_the_default_bandwidth_by_its_definition():
    X = np.cumsum(np.random.default_rng(0).normal(size=(90, 6)) * np.geomspace(1, 0.1, 90)[:, None], axis=0)
    distances = cdist(X, X)
    longest = minimum_spanning_tree(distances).data.max()
    near = np.sort(distances, axis=1)[:, 4]
    expected = max(longest**2, np.mean(near**2)) / 4
    assert connecting_distance(X) == pytest.approx(expected, rel=1e-12)
    assert connecting_distance(X, squares=distances**2) == pytest.approx(expected, rel=1e-12)
    assert DiffusionMap().fit(X).epsilon_ == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", ["circle", "walk", "cloud"])
def test_few_eigenpairs_are_those_of_the_whole_matrix(shape):
    """Pairs of equal eigenvalues, a crowded and a flat spectrum, against all eigenpairs by LAPACK."""
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(900) / 900
    X = {
        "circle": np.stack([np.cos(angle), np.sin(angle)], axis=1),
        "walk": np.cumsum(rng.normal(size=(900, 30)), axis=0),
        "cloud": rng.normal(size=(900, 200)),
    }[shape]
    fitted = DiffusionMap(n_components=4, alpha=0.0, t=0).fit(X)
    K = np.exp(-cdist(X, X, "sqeuclidean") / (4 * fitted.epsilon_))
    d = K.sum(axis=1)
    values, vectors = eigh(K / np.sqrt(np.outer(d, d)))
    np.testing.assert_allclose(fitted.eigenvalues_, values[-2:-6:-1], rtol=0, atol=1e-12)
    psi = fitted.embedding_ * np.sqrt(d / d.sum())[:, None]
    inside = vectors[:, -2:-6:-1].T @ psi
    np.testing.assert_allclose(inside.T @ inside, np.eye(4), atol=1e-8)


def test_variable_bandwidth_by_its_definition():
    X = np.random.default_rng(0).normal(size=(80, 2)) * [3, 0.2]
    fitted = DiffusionMap(n_components=2, alpha=0.5, epsilon=0.3, variable=7).fit(X)
    near = np.sort(cdist(X, X), axis=1)[:, 7]
    scales = near / np.exp(np.log(near).mean())
    K = np.exp(-cdist(X, X, "sqeuclidean") / (4 * 0.3 * np.outer(scales, scales)))
    q = K.sum(axis=1)
    K = K / np.sqrt(np.outer(q, q))
    d = K.sum(axis=1)
    values = eigh(K / np.sqrt(np.outer(d, d)), eigvals_only=True)[::-1]
    np.testing.assert_allclose(fitted.eigenvalues_, values[1:3], rtol=1e-10)
    assert fitted.spectral_gap_ == pytest.approx(values[2] - values[3], rel=1e-8)
    np.testing.assert_allclose(fitted.transform(X), fitted.embedding_, atol=1e-10)


@pytest.mark.parametrize("variable", [None, 8])
def test_the_sparse_solve_agrees_with_the_dense(variable):
    X = np.cumsum(np.random.default_rng(0).normal(size=(600, 5)), axis=0)
    options = {"n_components": 3, "epsilon": 4.0, "variable": variable}
    sparse = DiffusionMap(**options, kernel_neighbors=599).fit(X)
    dense = DiffusionMap(**options).fit(X)
    np.testing.assert_allclose(sparse.eigenvalues_, dense.eigenvalues_, rtol=1e-8)
    np.testing.assert_allclose(sparse.embedding_, dense.embedding_, atol=1e-5)
    few = DiffusionMap(**options, kernel_neighbors=80).fit(X)
    np.testing.assert_allclose(np.log(few.eigenvalues_), np.log(dense.eigenvalues_), rtol=0.1)
    np.testing.assert_allclose(few.transform(X), few.embedding_, atol=1e-12)
    again = DiffusionMap(**options, kernel_neighbors=80).fit(X)
    np.testing.assert_array_equal(few.embedding_, again.embedding_)


def test_where_lanczos_does_not_converge():
    """A long path with few neighbours and a narrow kernel: the spectrum is crowded against 1, and still solved."""
    X = np.stack([np.linspace(0, 100, 6000), np.sin(np.linspace(0, 30, 6000))], axis=1)
    fitted = DiffusionMap(n_components=2, epsilon=1e-3, kernel_neighbors=64).fit(X)
    assert (1 - fitted.eigenvalues_ < 1e-4).all()
    assert abs(spearmanr(fitted.embedding_[:, 0], np.arange(6000))[0]) > 0.999
    assert np.isnan(fitted.dimension_)


@pytest.mark.parametrize("n", [90, 91])
def test_the_rule_of_berry_giannakis_and_harlim_by_its_definition(n):
    """All n² pairs, each point with itself included, at powers of two times the variance."""
    rng = np.random.default_rng(0)
    for X in (rng.normal(size=(n, 3)), np.cumsum(rng.normal(size=(n, 20)), axis=0)):
        squares, variance = cdist(X, X, "sqeuclidean"), X.var(axis=0).sum()
        logs = [np.log(np.exp(-squares / (4 * variance * 2.0**p)).sum()) for p in range(-24, 7)]
        chosen = variance * 2.0 ** (np.diff(logs).argmax() - 24)
        longest = minimum_spanning_tree(np.sqrt(squares)).data.max()
        near = np.sort(squares, axis=1)[:, 1].mean()
        assert berry_giannakis_harlim(X) == pytest.approx(max(chosen, longest**2 / 4, near / 4), rel=1e-9)
        far = np.vstack([X, X + 40 * np.sqrt(variance)])
        assert berry_giannakis_harlim(far) >= minimum_spanning_tree(cdist(far, far)).data.max() ** 2 / 4 * (1 - 1e-9)


def test_the_dimension_is_that_of_the_last_fit():
    rng = np.random.default_rng(0)
    curve, sheet = rng.uniform(size=(400, 1)), rng.uniform(size=(400, 2))
    fitted = DiffusionMap().fit(curve)
    assert fitted.dimension_ == kernel_slope(curve).dimension
    assert fitted.fit(sheet).dimension_ == kernel_slope(sheet).dimension > 1.5


def test_rules_scale_with_the_points():
    X = np.cumsum(np.random.default_rng(0).normal(size=(100, 4)), axis=0)
    for rule in (berry_giannakis_harlim, median_distance(0.2), neighbour_distance(5)):
        assert rule(10 * X) == pytest.approx(100 * rule(X), rel=1e-9)
        assert DiffusionMap(epsilon=rule).fit(X).epsilon_ == pytest.approx(rule(X))
    assert median_distance(0.2)(X) == pytest.approx(0.2 * np.median(cdist(X, X)[np.triu_indices(100, 1)]) ** 2)
    assert neighbour_distance(5)(X) == pytest.approx(np.mean(np.sort(cdist(X, X), axis=1)[:, 5] ** 2))


@pytest.mark.slow
def test_dimension_of_known_shapes():
    rng = np.random.default_rng(0)
    assert kernel_slope(rng.uniform(size=(800, 1))).dimension == pytest.approx(1, abs=0.1)
    assert kernel_slope(rng.uniform(size=(1200, 2))).dimension == pytest.approx(1.78, abs=0.12)
    walk = np.cumsum(rng.normal(size=(900, 3000)), axis=0)
    assert DiffusionMap().fit(walk).dimension_ == pytest.approx(1.99, abs=0.1)


def test_diffusion_distance():
    X = np.random.default_rng(0).normal(size=(40, 3))
    fitted = DiffusionMap(n_components=5, epsilon=1.0, t=2).fit(X)
    distances = fitted.diffusion_distance()
    psi, lam = fitted.embedding_ / fitted.eigenvalues_**2, fitted.eigenvalues_
    expected = np.sqrt(np.sum(lam**4 * (psi[3] - psi[7]) ** 2))
    assert distances[3, 7] == pytest.approx(expected)


def test_worded_errors():
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(InputError, match="variable: expected less than n_samples = 20, got 20"):
        DiffusionMap(variable=20).fit(X)
    with pytest.raises(InputError, match="kernel_neighbors: expected less than n_samples = 20, got 25"):
        DiffusionMap(kernel_neighbors=25).fit(X)
    two = np.vstack([X, X + 1e6])
    for options in ({"epsilon": 1.0}, {"epsilon": 1.0, "kernel_neighbors": 5}):
        with pytest.raises(InputError, match="points connected by the kernel, got separate pieces"):
            DiffusionMap(**options).fit(two)
    with pytest.raises(InputError, match="points with distinct neighbours, got 40 that coincide with 1 others"):
        local_scales(np.repeat(X, 2, axis=0), 1)
    with pytest.raises(InputError, match="less than the 20 points"):
        neighbour_distance(20)(X)
    with pytest.raises(InputError, match="at most 2 coordinates"):
        independent_coordinates(X, 3)
