"""Surrogates and tests against them: calibrated on walks, and able to see what they are made to see."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.scores.neighbourhood import trustworthiness
from trajmap.scores.null import random_walk, random_walk_ratios, step_norms
from trajmap.scores.null_tests import null_test
from trajmap.scores.relaxation import fit_relaxation
from trajmap.scores.statistics import (
    STATISTICS,
    kernel_dimension,
    leading_share,
    lissajous_index,
    msd_exponent,
    score_statistic,
    step_cosine,
)
from trajmap.scores.surrogates import SURROGATES, block_shuffles, ornstein_uhlenbeck, sign_flips, walks

FAST = [leading_share, lissajous_index, msd_exponent, step_cosine, STATISTICS["participation ratio"]]


def walk(T, P, seed, norms=None):
    return random_walk(np.ones(T - 1) if norms is None else norms, P, random_state=seed)


@pytest.mark.slow
@pytest.mark.parametrize("statistic", FAST)
def test_type_one_error_on_two_hundred_walks(statistic):
    """At p ≤ 0.05 about one walk in twenty is called structured, with steps that shrink in time too."""
    norms = np.geomspace(1, 0.1, 29)
    p = np.array([
        null_test(walk(30, 400, seed, norms), statistic, size=400, n_draws=39, random_state=1000 + seed).p
        for seed in range(200)
    ])
    assert abs(np.mean(p <= 0.05) - 0.05) <= 0.03, "two standard errors of 200 walks are 0.031"
    assert 0.4 < np.mean(p) < 0.62


@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_keep_the_run_s_steps_and_repeat(name):
    X = walk(60, 500, 3, np.geomspace(1, 0.2, 59))
    made = SURROGATES[name](X, 500, np.random.default_rng(0))
    assert len(made) == 60
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(made, SURROGATES[name](X, 500, np.random.default_rng(0)))
    assert not np.allclose(made, SURROGATES[name](X, 500, np.random.default_rng(1)))
    if name == "block shuffles":  # in another order, each with its own direction
        np.testing.assert_allclose(np.sort(step_norms(made)), np.sort(step_norms(X)), rtol=1e-10)
        steps = np.diff(made, axis=0)
        nearest = np.abs(steps[:, None] - np.diff(X, axis=0)).max(axis=2).min(axis=1)
        np.testing.assert_allclose(nearest, 0, atol=1e-10)
    elif name != "Ornstein-Uhlenbeck":  # its steps are a pull plus noise
        np.testing.assert_allclose(step_norms(made), step_norms(X), rtol=1e-10)


@pytest.mark.parametrize("name", ["sign flips", "block shuffles"])
def test_surrogates_of_walks_are_calm(name):
    """On a true walk neither sees anything: |z| of the leading share stays below 3 on ten walks."""
    z = [null_test(walk(80, 1000, s), surrogate=SURROGATES[name], size=1000, n_draws=40).z for s in range(10)]
    assert np.abs(z).max() < 3


def test_a_drift_is_seen():
    X = walk(60, 1000, 0) + np.outer(np.arange(60.0), np.eye(59)[0])
    for surrogate in (walks, sign_flips):
        assert null_test(X, surrogate=surrogate, size=1000, n_draws=39).p == pytest.approx(0.05)
    assert null_test(X, step_cosine, size=1000, n_draws=39).z > 10


def test_memory_beyond_a_block_is_seen_by_block_shuffles_alone():
    """A path around a circle: flips and shuffles undo it, and its step cosine outlives the shuffle."""
    angle = np.linspace(0, 2 * np.pi, 101)
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    cosine = null_test(X, step_cosine, surrogate=block_shuffles, size=2, n_draws=39)
    assert cosine.null.min() > 0.7, "within a block successive steps stay successive"
    assert null_test(X, msd_exponent, surrogate=block_shuffles, size=2, n_draws=39).p == pytest.approx(0.05)


def test_relaxation_and_noise_is_an_ornstein_uhlenbeck_process():
    """A run that relaxes and shakes: walks are rejected, the fitted process is not."""
    rng = np.random.default_rng(0)
    x, path = 30 * np.eye(1, 300)[0], []
    for _ in range(120):
        path.append(x)
        x = 0.9 * x + 0.3 * rng.normal(size=300)
    X = np.array(path) - np.mean(path, axis=0)
    assert null_test(X, msd_exponent, surrogate=walks, size=300, n_draws=39).p == pytest.approx(0.05)
    fitted = null_test(X, msd_exponent, surrogate=ornstein_uhlenbeck, size=300, n_draws=39)
    assert abs(fitted.z) < 3


@pytest.mark.slow
@pytest.mark.parametrize("scales", [np.ones(60), np.geomspace(10, 0.1, 60)], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("statistic", [leading_share, step_cosine, STATISTICS["participation ratio"]])
def test_an_ornstein_uhlenbeck_process_is_one_of_its_own_surrogates(statistic, scales):
    """Stationary runs: about one in twenty is below .05, and p is .5 on average."""
    p = [
        null_test(relaxing(seed, scales), statistic, surrogate=ornstein_uhlenbeck, size=60, n_draws=39).p
        for seed in range(40)
    ]
    assert np.mean(np.array(p) <= 0.0501) <= 0.15, "two standard errors of 40 runs are .07"
    assert 0.35 < np.mean(p) < 0.7


def relaxing(seed, scales, pull=0.1, T=40):
    rng = np.random.default_rng(seed)
    path = [rng.normal(size=len(scales)) * scales / np.sqrt(1 - (1 - pull) ** 2)]
    for _ in range(T - 1):
        path.append((1 - pull) * path[-1] + rng.normal(size=len(scales)) * scales)
    return np.array(path)


@pytest.mark.parametrize("pull", [0.05, 0.2, 1.0])
def test_the_pull_is_found_without_bias(pull):
    """Least squares finds .04 too much at pull .05 on 60 points: 3/T on a walk."""
    found = [fit_relaxation([relaxing(seed, np.ones(200), pull, 60)]).pull for seed in range(10)]
    assert np.mean(found) == pytest.approx(pull, abs=0.01)


def test_a_drift_is_a_relaxation_without_pull():
    fit = fit_relaxation([np.outer(np.arange(20.0), [3.0, 4.0])])
    assert fit.pull == 0
    np.testing.assert_allclose(fit.push, [3, 4])
    assert np.allclose(fit.noise, 0)


def test_coordinates_come_with_their_size():
    with pytest.raises(InputError, match="size: expected the number of parameters P, got nothing; repair: pass size="):
        null_test(np.zeros((9, 2)))


@pytest.mark.slow
def test_statistics_have_their_known_values():
    X = walk(1200, 50_000, 0)
    assert leading_share(X) == pytest.approx(random_walk_ratios(2).sum(), abs=0.02)
    assert STATISTICS["participation ratio"](X) == pytest.approx(2.5, abs=0.1)  # (Σ1/k²)²/Σ1/k⁴ = 5/2
    assert lissajous_index(X) > 0.99
    assert lissajous_index(X, component=2) > 0.98
    assert msd_exponent(X) == pytest.approx(1, abs=0.1)
    assert abs(step_cosine(X)) < 0.01
    assert kernel_dimension(X[::2]) == pytest.approx(2, abs=0.15), "a Brownian path has dimension two"
    square = np.random.default_rng(0).uniform(size=(1500, 2))
    assert kernel_dimension(square) == pytest.approx(1.8, abs=0.15), "biased by the border"


def test_any_score_is_a_statistic_and_trustworthiness_tells_nothing():
    X = walk(80, 2000, 0)
    test = null_test(X, score_statistic(PCA(2), trustworthiness), size=2000, n_draws=19)
    assert test.value > 0.95
    assert test.p > 0.1


def test_trajectories_are_taken_as_they_are():
    thetas = np.cumsum(np.random.default_rng(0).normal(size=(30, 400)), axis=0)
    run = null_test(Trajectory.of(thetas), n_draws=19)
    centred = np.linalg.svd(thetas - thetas.mean(0), compute_uv=False) ** 2
    assert run.value == pytest.approx(centred[:2].sum() / centred.sum(), rel=1e-9)
    assert "leading share" in str(run)
    assert "walks" in str(run)


def test_worded_errors():
    with pytest.raises(InputError, match="at least 4 points"):
        null_test(np.zeros((3, 2)), size=9)
    with pytest.raises(InputError, match="finite numbers"):
        null_test(np.full((5, 2), np.nan), size=9)
    with pytest.raises(InputError, match="points that differ"):
        null_test(np.ones((5, 2)), size=9)
    with pytest.raises(InputError, match="component: expected at most 1"):
        lissajous_index(np.arange(5.0)[:, None], component=2)
