"""Random-walk nulls: exact where theory is exact, and blind to whatever a walk does as well."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from trajmap.errors import InputError
from trajmap.scores.null import explained_variance, random_walk, random_walk_ratios, step_norms
from trajmap.scores.table import null_scores


def walk(T, P, seed):
    return np.cumsum(np.random.default_rng(seed).normal(size=(T, P)), axis=0)


@pytest.mark.slow
def test_theory_at_finite_length():
    spectrum = explained_variance(walk(500, 20_000, 0)[:, :], size=20_000, n_components=3, n_draws=3)
    np.testing.assert_allclose(spectrum.ratios, 6 / (np.pi * np.arange(1, 4)) ** 2, rtol=0.02)
    np.testing.assert_allclose(spectrum.null.mean(axis=0), random_walk_ratios(3), rtol=0.02)


def test_exact_spectrum_of_a_walk_in_infinite_dimension():
    # λ_k ∝ 1/(2 − 2cos(kπ/T)) with trace (T² − 1)/6
    T, k = 50, np.arange(1, 6)
    exact = 1 / (2 - 2 * np.cos(k * np.pi / T)) / ((T**2 - 1) / 6)
    ratios = explained_variance(np.zeros((T, 1)) + np.arange(T)[:, None], size=10**9, n_draws=30).null
    np.testing.assert_allclose(ratios.mean(axis=0), exact, rtol=1e-3)


@pytest.mark.parametrize("size", [3, 30, 400])
def test_surrogates_are_distributed_as_walks(size):
    """Against walks simulated in R^P: the share of the first component has the same mean (four errors)."""
    norms = np.linspace(1, 2, 39)
    rng = np.random.default_rng(0)

    def direct():
        steps = rng.normal(size=(39, size))
        steps *= (norms / np.linalg.norm(steps, axis=1))[:, None]
        X = np.vstack([np.zeros(size), np.cumsum(steps, axis=0)])
        values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2
        return values[0] / values.sum()

    theirs = np.array([direct() for _ in range(200)])
    steps = np.concatenate([[0], np.cumsum(norms)])[:, None]
    ours = explained_variance(steps, size=size, n_draws=200, random_state=1).null[:, 0]
    error = np.sqrt(theirs.var() / 200 + ours.var() / 200)
    assert abs(theirs.mean() - ours.mean()) < 4 * error
    assert 0.7 < ours.std() / theirs.std() < 1.4


def test_step_norms_are_kept_exactly():
    norms = np.array([1.0, 0.0, 3.0, 1e-6, 2.0])
    X = random_walk(norms, 1000, random_state=3)
    np.testing.assert_allclose(step_norms(X), norms, rtol=1e-8, atol=1e-15)


def test_sisters_share_the_start_and_nothing_else():
    norms = np.ones(200)
    both = random_walk(norms, 50_000, n_walks=2, random_state=0)
    first, second = both[:201], both[201:]
    np.testing.assert_allclose(first[0], second[0], atol=1e-12)
    steps = np.diff(first, axis=0), np.diff(second, axis=0)
    # independent directions: the mean squared cosine is 1/P
    cosines = steps[0] @ steps[1].T
    assert np.mean(cosines**2) == pytest.approx(1 / 50_000, rel=0.1)
    # so their ends are as far apart as independent walks: √(2T)
    assert np.linalg.norm(first[-1] - second[-1]) == pytest.approx(np.sqrt(400), rel=0.05)


def test_null_is_calibrated_on_walks():
    """A walk's rank among its own surrogates is uniform: over 40 walks the extreme tenths are not crowded."""
    ranks = []
    for seed in range(40):
        spectrum = explained_variance(walk(40, 500, seed), size=500, n_draws=19, random_state=seed)
        ranks.append(np.sum(spectrum.null[:, 0] < spectrum.ratios[0]))
    # 40 walks, probability 0.2 of the two lowest or two highest of 20 ranks: 4 standard deviations are 10
    assert abs(np.sum((np.array(ranks) < 2) | (np.array(ranks) > 17)) - 8) < 10
    assert 0.3 < np.mean(ranks) / 19 < 0.7


def test_seeds_repeat():
    X = walk(30, 100, 0)
    first = null_scores(X, PCA(2), size=100, n_draws=2, random_state=4)
    np.testing.assert_array_equal(first, null_scores(X, PCA(2), size=100, n_draws=2, random_state=4))
    assert not np.array_equal(first, null_scores(X, PCA(2), size=100, n_draws=2, random_state=5))


def test_worded_errors():
    with pytest.raises(InputError, match="norms: expected at least one finite length"):
        random_walk([1.0, np.nan], 5)
    with pytest.raises(InputError, match="norms: expected at least one"):
        random_walk([], 5)
    with pytest.raises(InputError, match="size: expected an integer"):
        random_walk([1.0], 0)
    with pytest.raises(InputError, match="X: expected finite"):
        explained_variance(np.array([[0.0], [np.nan], [1]]), size=3)
