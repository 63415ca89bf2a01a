"""One table of everything: what it says of a valley, of a walk, and in words."""

import dataclasses

import numpy as np
import pytest
from sklearn.decomposition import PCA

from trajmap.data.fan import Fan
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.reduction.umap import UMAP
from trajmap.scores.columns import ALL_COLUMNS
from trajmap.scores.compare import compare_reductions
from trajmap.scores.stability import seed_stability
from trajmap.scores.validation import InterleavedSplit, TailSplit, TimeBlockSplit


@pytest.fixture(scope="module")
def valley():
    """Two noisy runs down one curved valley."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 60)[:, None]
    basis = np.linalg.qr(rng.normal(size=(300, 3)))[0].T
    path = (np.hstack([t, t**2, np.sin(3 * t)]) * 10) @ basis
    runs = [Trajectory.of(path + np.cumsum(0.02 * rng.normal(size=(60, 300)), axis=0)) for _ in range(2)]
    return Fan(("run", "sister"), tuple(runs))


def test_a_valley_is_recommended_and_a_walk_is_not(valley):
    table = compare_reductions(valley, {"one": PCA(1), "two": PCA(2)}, n_draws=19)
    assert table.scores == list(ALL_COLUMNS)
    assert np.isfinite(table.values).all()
    told = table.recommendation
    assert told.startswith("two has the smallest error on sister")
    assert "below every random walk" in told
    text = str(table)
    assert text.count("walks") == 2
    assert "error interleaved" in text
    rng = np.random.default_rng(1)
    start = rng.normal(size=300)
    steps = rng.normal(size=(2, 60, 300))
    steps[:, 0] = start
    walks = Fan(("a", "b"), tuple(Trajectory.of(np.cumsum(s, axis=0)) for s in steps))
    told = compare_reductions(walks, {"two": PCA(2)}, n_draws=19, columns=["error on sister"]).recommendation
    assert "random walks reach it" in told


def test_leaking_and_honest_splits_disagree(valley):
    table = compare_reductions(
        valley.runs[0], {"pca": PCA(2)}, n_draws=0, columns=["error interleaved", "error on tail"]
    )
    interleaved, tail = table.values[0]
    assert tail > 3 * interleaved
    assert "cannot be judged" in table.recommendation
    without = compare_reductions(valley.runs[0], {"pca": PCA(2)}, n_draws=0, columns=["stress"])
    assert "nothing can be recommended" in without.recommendation
    hidden = dataclasses.replace(table, values=np.full((1, 2), np.nan))
    assert "nothing can be recommended" in hidden.recommendation


@pytest.mark.parametrize("split", [TimeBlockSplit(4), InterleavedSplit(4), TailSplit(0.25)])
def test_splits_hold_out_each_point_once_at_most(split):
    X = np.zeros((22, 1))
    folds = list(split.split(X))
    assert len(folds) == split.get_n_splits()
    held = np.concatenate([test for _, test in folds])
    assert len(np.unique(held)) == len(held)
    for train, test in folds:
        assert not set(train) & set(test)
        assert len(train) + len(test) == 22
    if not isinstance(split, TailSplit):
        assert len(held) == 22


@pytest.mark.slow
def test_stability_over_seeds():
    X = np.cumsum(np.random.default_rng(0).normal(size=(60, 10)), axis=0)
    assert seed_stability(PCA(2, random_state=0), X) == pytest.approx(1)
    assert 0.2 < seed_stability(UMAP(), X, seeds=(0, 1)) < 1
    with pytest.raises(InputError, match="at least 2"):
        seed_stability(UMAP(), X, seeds=(0,))


def test_worded_errors(valley):
    with pytest.raises(InputError, match="columns: expected one of"):
        compare_reductions(valley, {"pca": PCA(2)}, columns=["trust"])
    with pytest.raises(InputError, match="a fan of a run and its sister"):
        compare_reductions(Fan(("a",), valley.runs[:1]), {"pca": PCA(2)})
    with pytest.raises(InputError, match="at least one"):
        compare_reductions(valley, {})
    with pytest.raises(InputError, match="fraction"):
        TailSplit(1.0)
    with pytest.raises(InputError, match="at least 4 points"):
        list(InterleavedSplit(4).split(np.zeros((3, 1))))
