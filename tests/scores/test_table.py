"""The score table: held-out and sister errors equal what is computed in parameter space."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from trajmap.data.reduction import Reduction
from trajmap.errors import InputError
from trajmap.reduction.rowspace import RowSpace
from trajmap.scores.columns import COLUMNS
from trajmap.scores.reconstruction import OtherRun, reconstruction_error, transfer_error
from trajmap.scores.table import score, score_table
from trajmap.scores.validation import TimeBlockSplit, held_out


@pytest.fixture(scope="module")
def runs():
    """Two noisy runs down one curved valley of R^300."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 60)[:, None]
    basis = np.linalg.qr(rng.normal(size=(300, 3)))[0].T
    valley = (np.hstack([t, t**2, np.sin(3 * t)]) * 10) @ basis
    return [valley + np.cumsum(0.02 * rng.normal(size=(60, 300)), axis=0) for _ in range(2)]


def seen(space, other):
    X = space.transform(other)
    off = np.sum((other - space.inverse_transform(X)) ** 2, axis=1)
    return OtherRun(X, off, float(np.sum((other - other.mean(axis=0)) ** 2)))


def test_transfer_is_exact_in_parameter_space(runs):
    run, sister = runs
    space = RowSpace().fit(run)
    found = transfer_error(PCA(2).fit(space.transform(run)), seen(space, sister))
    direct = PCA(2).fit(run)
    lifted = direct.inverse_transform(direct.transform(sister))
    expected = np.sum((sister - lifted) ** 2) / np.sum((sister - sister.mean(axis=0)) ** 2)
    assert found == pytest.approx(expected, rel=1e-9)


def test_blocks_are_exact_in_parameter_space(runs):
    run = runs[0]
    X = RowSpace().fit_transform(run)
    split = TimeBlockSplit(4)
    ours = reconstruction_error(held_out(PCA(2), X, split))
    assert ours == pytest.approx(reconstruction_error(held_out(PCA(2), run, split)), rel=1e-9)
    assert ours > reconstruction_error(Reduction.of(PCA(2).fit(X), X))


def test_transfer_separates_a_valley_from_walks(runs):
    run, sister = runs
    space = RowSpace().fit(run)
    table = score_table(
        space.transform(run), {"pca": PCA(2)}, size=300, sister=seen(space, sister), n_draws=19, random_state=0
    )
    column = {name: i for i, name in enumerate(COLUMNS)}
    assert table.values.shape == (1, len(COLUMNS))
    assert table.null.shape == (1, len(COLUMNS), 19)
    walks = table.null[0, column["error on sister"]]
    assert (walks > 1).all(), "a walk says less of its sister than the sister's mean does"
    assert table.values[0, column["error on sister"]] < 0.5 * walks.min()
    # trustworthiness does not separate: the walks are beyond .9 too
    assert (table.null[0, column["trustworthiness"]] > 0.9).all()


def test_table_without_sister_and_with_unequal_draws(runs):
    X = RowSpace().fit_transform(runs[0])
    calls = []
    table = score_table(
        X, {"a": PCA(1), "b": PCA(2)}, size=300, n_draws={"a": 3, "b": 1}, progress=lambda *n: calls.append(n)
    )
    assert np.isnan(table.values[:, -1]).all()
    assert np.isfinite(table.null[0, :4]).all()
    assert np.isfinite(table.null[1, :4, 0]).all()
    assert np.isnan(table.null[1, :, 1:]).all()
    assert calls[-1] == (6, 6)


def test_time_blocks_partition_the_run():
    X = np.zeros((23, 2))
    folds = list(TimeBlockSplit(5).split(X))
    assert len(folds) == TimeBlockSplit(5).get_n_splits() == 5
    np.testing.assert_array_equal(np.concatenate([test for _, test in folds]), np.arange(23))
    for train, test in folds:
        assert not set(train) & set(test)
        assert len(train) + len(test) == 23
        assert (np.diff(test) == 1).all()
    with pytest.raises(InputError, match="n_splits: expected an integer ≥ 2"):
        TimeBlockSplit(1)
    with pytest.raises(InputError, match="at least 5 points, got 3"):
        list(TimeBlockSplit(5).split(np.zeros((3, 1))))


def test_unknown_score_lists_the_choices(runs):
    X = RowSpace().fit_transform(runs[0])
    with pytest.raises(InputError, match="names: expected one of trustworthiness, continuity"):
        score(Reduction(X, X, X), ["beauty"])
    with pytest.raises(InputError, match="points that differ"):
        reconstruction_error(Reduction(np.ones((4, 2)), np.ones((4, 1)), np.ones((4, 2))))
    with pytest.raises(InputError, match="other: expected iterates that differ"):
        transfer_error(PCA(1).fit(X), OtherRun(X, np.zeros(len(X)), 0.0))
