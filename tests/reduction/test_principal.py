"""PCA about three centres."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from trajmap.errors import InputError
from trajmap.reduction.principal import PrincipalComponents

X = np.cumsum(np.random.default_rng(0).normal(size=(40, 6)), axis=0)


def test_about_the_mean_it_is_scikit_learns():
    ours, theirs = PrincipalComponents(3).fit(X), PCA(3).fit(X)
    np.testing.assert_allclose(np.abs(ours.transform(X)), np.abs(theirs.transform(X)), atol=1e-10)
    np.testing.assert_allclose(ours.explained_ratio_, theirs.explained_variance_ratio_)


@pytest.mark.parametrize(("center", "place"), [("first", 0), ("last", -1)])
def test_about_an_end_the_plane_passes_through_it(center, place):
    fitted = PrincipalComponents(2, center=center).fit(X)
    np.testing.assert_allclose(fitted.transform(X)[place], 0, atol=1e-12)
    np.testing.assert_allclose(fitted.inverse_transform([[0.0, 0.0]])[0], X[place])
    lost = np.sum((fitted.inverse_transform(fitted.transform(X)) - X) ** 2)
    total = np.sum((X - X[place]) ** 2)
    assert fitted.explained_ratio_.sum() == pytest.approx(1 - lost / total)
    # no plane through that point loses less
    for seed in range(20):
        basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 2)))[0]
        away = X - X[place]
        assert np.sum((away - away @ basis @ basis.T) ** 2) >= lost


def test_unknown_centre():
    with pytest.raises(InputError, match="center: expected one of"):
        PrincipalComponents(center="middle").fit(X)
