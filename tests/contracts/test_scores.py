"""What every score of a reduction promises, and their closed forms."""

import numpy as np
import pytest
import scipy.stats
from scipy.spatial.distance import cdist, pdist
from sklearn import manifold

from trajmap.data.reduction import Reduction
from trajmap.errors import InputError
from trajmap.scores.distances import path_order, shepard_correlation, stress
from trajmap.scores.neighbourhood import continuity, neighbour_overlap, trustworthiness
from trajmap.scores.ranks import neighbour_ranks
from trajmap.scores.table import SCORES

each = pytest.mark.parametrize("name", SCORES)
POINTS = np.random.default_rng(0).normal(size=(60, 6))
# value of a perfect embedding of the points
BEST = dict.fromkeys(SCORES, 1.0) | {
    "local_continuity": 1 - 5 / 59,
    "rank_error_before": 0.0,
    "rank_error_after": 0.0,
    "stress": 0.0,
    "reconstruction_error": 0.0,
}
BETTER = {name: -1 if best == 0 else 1 for name, best in BEST.items()}
WINDOWED = (
    "trustworthiness", "continuity", "neighbour_overlap", "local_continuity", "rank_error_before", "rank_error_after"
)  # fmt: skip


@each
def test_perfect_beats_truncated_beats_shuffled(rng, name):
    score = SCORES[name]
    # a noisy curve, since some scores ask for the order in time
    t = np.linspace(0, 4, 60)
    curve = np.stack([t, np.sin(t), np.cos(2 * t), *(0.02 * rng.normal(size=(3, 60)))], axis=1)
    worse = curve + 0.3 * rng.normal(size=curve.shape)
    perfect = score(Reduction(curve, curve, curve))
    noisy = score(Reduction(curve, worse, worse))
    order = rng.permutation(60)
    shuffled = score(Reduction(curve, curve[order], curve[order]))
    assert BETTER[name] * perfect > BETTER[name] * noisy > BETTER[name] * shuffled
    assert perfect == pytest.approx(BEST[name], abs=2e-3 if name == "path_order" else 1e-12)


@each
def test_isometries_change_nothing(rng, name):
    score = SCORES[name]
    Z, X_hat = POINTS[:, :2], POINTS * [1, 1, 1, 0, 0, 0]
    Q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    turn = np.array([[0.0, -1], [1, 0]])
    plain = score(Reduction(POINTS, Z, X_hat))
    assert score(Reduction(POINTS @ Q + 3, Z @ turn - 5, X_hat @ Q + 3)) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("name", WINDOWED)
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


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("window", [0, 3, 7])
def test_windows_by_brute_force(name, window):
    """Each score from its definition, with lists instead of rank matrices."""
    n, k = 40, 4
    X, Z = POINTS[:n], POINTS[:n, :2]

    def others(points, i):
        allowed = [j for j in range(n) if abs(i - j) > window]
        return sorted(allowed, key=lambda j: np.linalg.norm(points[i] - points[j]))

    total = most = 0.0
    for i in range(n):
        before, after = others(X, i), others(Z, i)
        m = len(before)
        rank = {j: r + 1 for r, j in enumerate(before)}, {j: r + 1 for r, j in enumerate(after)}
        if name == "trustworthiness":
            total += sum(rank[0][j] - k for j in after[:k] if j not in before[:k])
            most += sum(m - r - k for r in range(k))
        elif name == "continuity":
            total += sum(rank[1][j] - k for j in before[:k] if j not in after[:k])
            most += sum(m - r - k for r in range(k))
        elif name in {"neighbour_overlap", "local_continuity"}:
            total += len(set(before[:k]) & set(after[:k])) / k / n
            total -= k / m / n if name == "local_continuity" else 0
        else:
            own, other = (rank[0], rank[1]) if name == "rank_error_before" else (rank[1], rank[0])
            near = (before if name == "rank_error_before" else after)[:k]
            total += sum(abs(own[j] - other[j]) / own[j] for j in near)
            most += sum(abs(m + 1 - 2 * r) / r for r in range(1, k + 1))
    expected = {"trustworthiness": 1 - total / (most or 1), "continuity": 1 - total / (most or 1)}.get(
        name, total / most if most else total
    )
    assert SCORES[name](Reduction(X, Z, X), n_neighbors=k, theiler_window=window) == pytest.approx(expected, rel=1e-12)


def test_the_time_index_scores_high_until_its_neighbours_are_left_out():
    """One coordinate that is the time: neighbours in time are neighbours in space, and nothing else is known."""
    walk = np.cumsum(np.random.default_rng(0).normal(size=(400, 20)), axis=0)
    time = Reduction(walk, np.arange(400.0)[:, None], walk)
    assert trustworthiness(time) > 0.99
    assert trustworthiness(time, theiler_window=50) < trustworthiness(time) - 0.02
    with pytest.raises(InputError, match="theiler_window: expected fewer than 14 steps of 40 points"):
        trustworthiness(Reduction(walk[:40], walk[:40], walk[:40]), theiler_window=19)


def test_distance_scores_by_their_formulas():
    Z = POINTS[:, :2]
    a, b = pdist(POINTS), pdist(Z)
    case = Reduction(POINTS, Z, POINTS)
    assert shepard_correlation(case) == pytest.approx(scipy.stats.pearsonr(a, b)[0], rel=1e-12)
    best = min(np.sqrt(np.sum((a - c * b) ** 2) / np.sum(a**2)) for c in np.linspace(0.5, 3, 20001))
    assert stress(case) == pytest.approx(best, rel=1e-7)
    assert stress(Reduction(POINTS, 5 * Z, POINTS)) == pytest.approx(stress(case), rel=1e-12)
    assert stress(Reduction(POINTS, np.zeros((60, 2)), POINTS)) == 1
    for score in (shepard_correlation, stress):
        with pytest.raises(InputError, match="expected"):
            score(Reduction(np.ones((5, 2)), np.ones((5, 2)), np.ones((5, 2))))


def test_path_order_of_separate_pieces():
    """Two pieces far apart, each in order: linked by the successive points between them."""
    t = np.arange(40.0)
    pieces = np.stack([t + 1000 * (t >= 20), np.zeros(40)], axis=1)
    assert path_order(Reduction(pieces, pieces, pieces), n_neighbors=3) > 0.99
    assert path_order(Reduction(pieces, pieces[::-1], pieces), n_neighbors=3) > 0.99, "from the first point on"
    with pytest.raises(InputError, match="less than the 40 points"):
        path_order(Reduction(pieces, pieces, pieces), n_neighbors=40)


def test_random_embedding_has_the_closed_form(rng):
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
