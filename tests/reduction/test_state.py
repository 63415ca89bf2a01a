"""A chart that is kept and loaded is the fitted one, to the bit, in another process with other threads too."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from trajmap.data.chart_state import ChartState
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, RunFormatError
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.gaussian_process import GaussianProcessLift
from trajmap.reduction.lifted import Lifted
from trajmap.reduction.lifts import BarycentricLift, KernelRidgeLift, LinearLift, ThinPlateLift
from trajmap.reduction.phate import Phate
from trajmap.reduction.principal import PrincipalComponents
from trajmap.reduction.rowspace import RowSpace
from trajmap.reduction.state import restore, state_of
from trajmap.reduction.umap import UMAP

CHARTS = {
    "pca": PCA(2),
    "principal": PrincipalComponents(center="last"),
    "autoencoder": Autoencoder(max_iter=20, n_decoders=2),
    "linear autoencoder": Autoencoder(hidden=(), max_iter=5),
    "diffusion": DiffusionMap(),
    "self-tuned diffusion": DiffusionMap(variable=5),
    "sparse diffusion": DiffusionMap(kernel_neighbors=20),
    "umap": UMAP(),
    "phate": Phate(),
    **{
        type(lift).__name__: Lifted(PCA(2), lift, residual=True)
        for lift in (BarycentricLift(), LinearLift(), ThinPlateLift(), KernelRidgeLift(), GaussianProcessLift())
    },
}
umap = pytest.mark.xdist_group("umap")
each = pytest.mark.parametrize("name", [pytest.param(n, marks=umap) if n == "umap" else n for n in CHARTS])


@pytest.fixture(scope="module", name="X")
def points():
    t, rng = np.linspace(0, 1, 60), np.random.default_rng(0)
    curve = np.stack([np.cos(2 * t), np.sin(2 * t), t**2, np.exp(-t)], axis=1)
    return curve + 0.01 * rng.normal(size=curve.shape)


def kept(fitted, folder, points=None):
    path = ChartState(state_of(fitted), "chart").save(folder / "chart.npz")
    return restore(ChartState.open(path).state, points)


def answers(chart, X):
    """What a chart says of its points, of others, and of coordinates beside the path."""
    others = X[:7] + 0.02
    Z = np.concatenate([chart.transform(X), chart.transform(others)])
    beside = Z[::3] + 0.01
    known = [chart.uncertainty(beside)] if hasattr(chart, "uncertainty") else []
    return [Z, chart.inverse_transform(beside), *known]


@each
def test_the_loaded_chart_is_the_fitted_one(name, X, tmp_path):
    fitted = clone(CHARTS[name]).fit(X)
    loaded = kept(fitted, tmp_path, X)
    assert type(loaded) is type(fitted)
    assert repr(loaded.get_params()) == repr(fitted.get_params())
    # PCA is not ours to settle: its arrays lie as LAPACK left them, and products of these round otherwise
    equal = np.testing.assert_allclose if isinstance(fitted, PCA) or "Lift" in name else np.testing.assert_array_equal
    for one, other in zip(answers(fitted, X), answers(loaded, X), strict=True):
        equal(one, other)
    again = kept(loaded, tmp_path, X)
    for one, other in zip(answers(loaded, X), answers(again, X), strict=True):
        np.testing.assert_array_equal(one, other)


CHILD = """
import sys
import numpy as np
from trajmap.data.chart_state import ChartState
from trajmap.reduction.state import restore
X = np.load(sys.argv[1])
chart = restore(ChartState.open(sys.argv[2]).state, X)
Z = np.concatenate([chart.transform(X), chart.transform(X[:7] + 0.02)])
np.savez(sys.argv[3], Z, chart.inverse_transform(Z[::3] + 0.01))
"""


@each
def test_another_process_with_other_threads_sees_the_same_bits(name, X, tmp_path):
    loaded = kept(clone(CHARTS[name]).fit(X), tmp_path, X)
    np.save(tmp_path / "X.npy", X)
    places = [str(tmp_path / file) for file in ("X.npy", "chart.npz", "out.npz")]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    subprocess.run([sys.executable, "-c", CHILD, *places], check=True, env=os.environ | threads)
    with np.load(places[2]) as found:
        for one, other in zip(answers(loaded, X), found.values(), strict=False):
            np.testing.assert_array_equal(one, other)


def test_a_row_space_is_loaded_with_the_points_of_its_fit(tmp_path):
    thetas = np.cumsum(np.random.default_rng(0).normal(size=(12, 300)), axis=0).astype(np.float32)
    Trajectory.of(thetas).save(tmp_path / "run")
    iterates = Trajectory.open(tmp_path / "run").iterates
    fitted = RowSpace(lift_dtype=iterates.dtype).fit(iterates)
    loaded = kept(fitted, tmp_path, iterates)
    for name in ("embedding_", "singular_values_", "residuals_", "explained_variance_ratio_"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(fitted, name))
    np.testing.assert_array_equal(loaded.transform(iterates), fitted.transform(iterates))
    Z = np.random.default_rng(1).normal(size=(5, fitted.n_components_))
    np.testing.assert_array_equal(loaded.inverse_transform(Z), fitted.inverse_transform(Z))
    np.testing.assert_array_equal(loaded.transform(thetas[:3] + 1), fitted.transform(thetas[:3] + 1))


def test_a_file_of_a_chart_holds_no_objects(X, tmp_path):
    path = ChartState(state_of(DiffusionMap().fit(X))).save(tmp_path / "chart.npz")
    with np.load(path, allow_pickle=False) as arrays:
        assert all(array.dtype.kind in "uif" for array in arrays.values())


def test_what_cannot_be_kept_is_refused(X):
    with pytest.raises(InputError, match="chart: expected an estimator of trajmap.reduction"):
        state_of(KMeans(2, n_init=1).fit(X))
    with pytest.raises(InputError, match="epsilon: expected arrays and plain values"):
        state_of(DiffusionMap(epsilon=lambda X: 1.0).fit(X))


@pytest.mark.parametrize(
    "change",
    [
        {"class": "Nonsense"},
        {"class": "KMeans"},
        {"fitted": {"__class__": "x"}},
        {"fitted": {"embedding_": np.zeros((3, 2))}},
        {"parameters": {"nonsense": 1}},
    ],
)
def test_a_damaged_state_is_worded(change, X):
    with pytest.raises(RunFormatError, match="chart: expected"):
        restore(state_of(DiffusionMap().fit(X)) | change)


def test_an_unfitted_estimator_comes_back_unfitted():
    assert restore(state_of(Autoencoder(hidden=(3, 4)))).hidden == (3, 4)
