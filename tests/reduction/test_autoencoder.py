"""The autoencoder's options: early stopping, standardisation, several decoders."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from trajmap.errors import InputError
from trajmap.reduction.autoencoder import Autoencoder


@pytest.fixture(scope="module")
def noisy():
    t = np.linspace(0, 3, 80)
    rng = np.random.default_rng(0)
    arc = np.stack([np.cos(t), np.sin(t), 0.1 * t], axis=1)
    return np.hstack([arc, np.zeros((80, 9))]) + 0.15 * rng.normal(size=(80, 12))


def test_early_stopping_keeps_the_best_on_held_out_stretches(noisy):
    patient = Autoencoder(1, hidden=(64,), max_iter=800, early_stopping=True).fit(noisy)
    assert patient.held_out_curve_.shape == patient.loss_curve_.shape == (800,)
    best = patient.held_out_curve_.min()
    assert patient.held_out_curve_[-1] > 1.05 * best, "this net overfits, or the test says nothing"
    held = [*range(24, 32), *range(56, 64)]
    lifted = patient.inverse_transform(patient.transform(noisy[held]))
    scale = np.sum((noisy - noisy.mean(axis=0)) ** 2) / len(noisy)
    assert np.mean(np.sum((lifted - noisy[held]) ** 2, axis=1)) / scale == pytest.approx(best, rel=1e-3)
    assert Autoencoder(1, max_iter=5).fit(noisy).held_out_curve_.size == 0
    with pytest.raises(InputError, match="early_stopping: expected at least 10 points"):
        Autoencoder(1, early_stopping=True).fit(noisy[:8])


def test_standardised_coordinates_weigh_alike():
    """A small but regular coordinate is given up by the plain loss and kept by the standardised one."""
    t = np.linspace(-1, 1, 60)
    X = np.stack([t, t**2 * 5, 1e-3 * np.sin(9 * t), 1e-3 * np.cos(9 * t)], axis=1)

    def error(model):
        lifted = model.inverse_transform(model.transform(X))
        return (np.square(lifted - X).sum(axis=0) / X.var(axis=0) / len(X))[2:].mean()

    plain = error(Autoencoder(2, max_iter=400).fit(X))
    standardised = error(Autoencoder(2, max_iter=400, standardise=True).fit(X))
    assert standardised < 0.5 * plain
    linear = Autoencoder(2, hidden=(), max_iter=300, standardise=True).fit(X)
    Y = (X - X.mean(axis=0)) / X.std(axis=0)
    share = 1 - PCA(2).fit(Y).explained_variance_ratio_.sum()
    assert linear.loss_curve_[-1] == pytest.approx(share, rel=1e-3), "PCA of the standardised points"


@pytest.mark.slow
def test_several_decoders_agree_on_the_data_and_differ_beyond(noisy):
    fitted = Autoencoder(1, hidden=(32,), max_iter=400, n_decoders=4).fit(noisy)
    Z = fitted.transform(noisy)
    inside, outside = fitted._spread(Z).mean(), fitted._spread(Z[-1:] + 5)[0]
    assert outside > 5 * inside
    beyond = fitted.uncertainty(Z[-1:] + 5)[0]
    assert beyond >= outside
    alone = Autoencoder(1, hidden=(32,), max_iter=400).fit(noisy)
    np.testing.assert_array_equal(alone._spread(Z), 0)
    np.testing.assert_allclose(alone.transform(noisy), Z, err_msg="the encoder must not depend on further decoders")
