"""What every score of a reduction promises, and their closed forms."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn import manifold

from trajmap.data.reduction import Reduction
from trajmap.errors import InputError
from trajmap.scores.neighbourhood import continuity, neighbour_overlap, trustworthiness
from trajmap.scores.ranks import neighbour_ranks
from trajmap.scores.table import SCORES

each = pytest.mark.parametrize("name", SCORES)
rng = np.random.default_rng(0)
POINTS = rng.normal(size=(60, 6))
BETTER = {name: -1 if name == "reconstruction_error" else 1 for name in SCORES}


@each
def test_perfect_beats_truncated_beats_shuffled(name):
    score = SCORES[name]
    cut = POINTS * [1, 1, 1, 1, 0.1, 0]
    perfect = score(Reduction(POINTS, POINTS, POINTS))
    truncated = score(Reduction(POINTS, cut, cut))
    order = rng.permutation(60)
    shuffled = score(Reduction(POINTS, POINTS[order], POINTS[order]))
    assert BETTER[name] * perfect > BETTER[name] * truncated > BETTER[name] * shuffled
    assert perfect == (0 if BETTER[name] < 0 else 1)


@each
def test_isometries_change_nothing(name):
    score = SCORES[name]
    Z, X_hat = POINTS[:, :2], POINTS * [1, 1, 1, 0, 0, 0]
    Q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    turn = np.array([[0.0, -1], [1, 0]])
    plain = score(Reduction(POINTS, Z, X_hat))
    assert score(Reduction(POINTS @ Q + 3, Z @ turn - 5, X_hat @ Q + 3)) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("name", [name for name in SCORES if name != "reconstruction_error"])
def test_neighbour_scores_word_their_errors(name):
    score = SCORES[name]
    few = POINTS[:10]
    with pytest.raises(InputError, match="n_neighbors: expected less than half of the 10 points, got 5"):
        score(Reduction(few, few, few))
    broken = few.copy()
    broken[2] = np.nan
    with pytest.raises(InputError, match="Z: expected finite numbers"):
        score(Reduction(few, broken, few), n_neighbors=2)


@pytest.mark.parametrize("k", [1, 5, 12])
def test_trustworthiness_is_scikit_learns(k):
    Z = POINTS[:, :2]
    expected = manifold.trustworthiness(POINTS, Z, n_neighbors=k)
    assert trustworthiness(Reduction(POINTS, Z, POINTS), n_neighbors=k) == pytest.approx(expected, rel=1e-12)
    swapped = manifold.trustworthiness(Z, POINTS, n_neighbors=k)
    assert continuity(Reduction(POINTS, Z, POINTS), n_neighbors=k) == pytest.approx(swapped, rel=1e-12)


def test_continuity_by_brute_force():
    X, Z, k, n = POINTS[:25], POINTS[:25, :1], 4, 25
    penalty = 0
    for i in range(n):
        by_x = sorted((j for j in range(n) if j != i), key=lambda j: np.linalg.norm(X[i] - X[j]))
        by_z = sorted((j for j in range(n) if j != i), key=lambda j: abs(Z[i, 0] - Z[j, 0]))
        penalty += sum(by_z.index(j) + 1 - k for j in by_x[:k] if j not in by_z[:k])
    expected = 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty
    assert continuity(Reduction(X, Z, X), n_neighbors=k) == pytest.approx(expected, rel=1e-12)


def test_random_embedding_has_the_closed_form():
    n, k = 300, 5
    expected = 1 - (n - 1 - k) * (n - k) / ((n - 1) * (2 * n - 3 * k - 1))
    draws = [Reduction(rng.normal(size=(n, 4)), rng.normal(size=(n, 2)), np.zeros((n, 4))) for _ in range(12)]
    assert expected == pytest.approx(0.5033, abs=1e-4)
    for score in (trustworthiness, continuity):
        values = [score(draw) for draw in draws]
        # four standard errors of the mean of twelve draws
        assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / np.sqrt(12))
    overlaps = [neighbour_overlap(draw) for draw in draws]
    assert np.mean(overlaps) == pytest.approx(k / (n - 1), abs=4 * np.std(overlaps) / np.sqrt(12))


def test_ranks_with_duplicates():
    X = np.array([[0.0], [0.0], [0.0], [5.0]])
    ranks = neighbour_ranks(X)
    assert (np.diag(ranks) == 0).all()
    assert (np.sort(ranks, axis=1) == np.arange(4)).all()
    brute = cdist(POINTS, POINTS).argsort(axis=1).argsort(axis=1)
    np.testing.assert_array_equal(neighbour_ranks(POINTS), brute)
