"""Row space is exact: whatever is computed on it equals what is computed in parameter space."""

import concurrent.futures
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.data import gram
from trajmap.data.fan import Fan
from trajmap.data.gram import isometric_coordinates
from trajmap.data.layout import Layout
from trajmap.data.store.iterates import Iterates
from trajmap.data.store.store import Notes, RunHeader, iterate_path, write_iterate
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, RunFormatError
from trajmap.recording.recorder import Recorder
from trajmap.recording.sketch import CountSketch
from trajmap.reduction import rowspace
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.rowspace import RowSpace


@pytest.fixture(scope="module")
def thetas():
    rng = np.random.default_rng(0)
    return 30 + np.cumsum(rng.normal(size=(80, 5000)) * np.geomspace(1, 1e-2, 80)[:, None], axis=0)


def test_distances_are_kept(thetas):
    X = RowSpace().fit_transform(thetas)
    assert X.shape == (80, 79)
    np.testing.assert_allclose(pdist(X), pdist(thetas), rtol=1e-8)


def test_pca_scores_agree(thetas):
    ours = PCA(5, svd_solver="full").fit_transform(RowSpace().fit_transform(thetas))
    theirs = PCA(5, svd_solver="full").fit_transform(thetas)
    signs = np.sign(np.sum(ours * theirs, axis=0))
    np.testing.assert_allclose(ours * signs, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max())


def test_diffusion_coordinates_agree(thetas):
    ours, theirs = DiffusionMap(), DiffusionMap()
    Z = ours.fit_transform(RowSpace().fit_transform(thetas))
    np.testing.assert_allclose(Z, theirs.fit_transform(thetas), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(ours.eigenvalues_, theirs.eigenvalues_, rtol=1e-10)


@pytest.mark.slow
def test_components_are_an_orthonormal_basis(thetas):
    space = RowSpace().fit(thetas)
    np.testing.assert_allclose(space.components_ @ space.components_.T, np.eye(79), atol=1e-8)
    np.testing.assert_allclose(space.singular_values_, np.linalg.svd(thetas - thetas.mean(0))[1][:79], rtol=1e-8)
    assert space.explained_variance_ratio_.sum() == pytest.approx(1)
    np.testing.assert_allclose(space.inverse_transform(space.transform(thetas)), thetas, rtol=1e-10)


@pytest.mark.slow
def test_truncation_is_the_best_approximation(thetas):
    space = RowSpace(n_components=3).fit(thetas)
    residual = space.inverse_transform(space.transform(thetas)) - thetas
    values = np.linalg.svd(thetas - thetas.mean(0))[1]
    assert np.sum(residual**2) == pytest.approx(np.sum(values[3:] ** 2), rel=1e-9)
    assert space.explained_variance_ratio_.sum() == pytest.approx(np.sum(values[:3] ** 2) / np.sum(values**2))


def test_streaming_without_kept_components(thetas, tmp_path, monkeypatch):
    Trajectory.of(thetas).save(tmp_path)
    lazy = Trajectory.open(tmp_path).iterates
    monkeypatch.setattr(rowspace, "_KEEP_BYTES", 0)
    streamed = RowSpace(block_size=700).fit(lazy)
    assert not isinstance(streamed.frame().basis, np.ndarray)
    kept = RowSpace().fit(thetas)
    np.testing.assert_allclose(streamed.transform(lazy), kept.transform(thetas), atol=1e-7)
    Z = np.random.default_rng(0).normal(size=(4, 79))
    np.testing.assert_allclose(streamed.inverse_transform(Z), kept.inverse_transform(Z), atol=1e-6)


@pytest.fixture
def lazy(thetas, tmp_path):
    Trajectory.of(thetas.astype(np.float32)).save(tmp_path / "run")
    return Trajectory.open(tmp_path / "run").iterates


@pytest.mark.parametrize("keep", [0, 2**29])
@pytest.mark.parametrize("options", [{}, {"n_components": 4}, {"n_components": 4, "lift_dtype": np.float32}])
def test_the_frame_lifts_as_the_space_does(lazy, keep, options, monkeypatch):
    monkeypatch.setattr(rowspace, "_KEEP_BYTES", keep)
    space = RowSpace(block_size=700, **options).fit(lazy)
    Z = np.random.default_rng(0).normal(size=(3, space.n_components_))
    frame = space.frame()
    assert not isinstance(frame.basis, np.ndarray), "nothing is read before it is asked for"
    space.inverse_transform(Z)
    assert isinstance(space.frame().basis, np.ndarray) == bool(keep)
    assert frame.basis.shape == space.components_.shape
    assert frame.basis.dtype == options.get("lift_dtype", np.float64)
    points = space.inverse_transform(Z)
    tolerance = 20 * np.finfo(points.dtype).eps * np.abs(points).max()
    np.testing.assert_allclose(frame.points(space.coefficients(Z)), points, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(frame.basis[1:3, 5:9], frame.basis[:, 5:9][1:3])
    with pytest.raises(InputError, match="Z: expected shape"):
        space.coefficients(Z[:, 1:])


@pytest.mark.parametrize("options", [{"n_components": 4}, {"n_components": 0.9}, {"n_components": 4, "dtype": "f4"}])
@pytest.mark.parametrize("increments", [False, True])
def test_residuals_are_the_distances_from_what_was_kept(thetas, options, increments):
    space = RowSpace(**options, increments=increments).fit(thetas)
    centred = thetas - thetas.mean(axis=0)
    basis = np.linalg.svd(centred, full_matrices=False)[2][: space.n_components_]
    exact = np.linalg.norm(centred - centred @ basis.T @ basis, axis=1)
    np.testing.assert_allclose(space.residuals_, exact, rtol=1e-4 if "dtype" in options else 1e-8)
    assert not RowSpace(increments=increments).fit(thetas).residuals_.any()
    flat = thetas[:, :3] @ np.random.default_rng(1).normal(size=(3, 100))
    assert not RowSpace(n_components=3).fit(flat).residuals_.any()


def test_iterates_that_were_fitted_are_recognised(lazy, tmp_path):
    chart = make_pipeline(RowSpace(), PCA(2)).fit(lazy)
    space, run = chart[0], Trajectory.open(tmp_path / "run")
    expected, plane = space.transform(lazy[:]), chart.transform(lazy[:])
    np.testing.assert_allclose(space.embedding_, expected, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_array_equal(space.fitted_places(run.iterates.take([7, 0, 7])), [7, 0, 7])
    again = pickle.loads(pickle.dumps(chart))
    shutil.rmtree(tmp_path / "run")  # whatever is read from now on fails
    for fitted in (chart, again):
        tolerance = 1e-6 * np.abs(plane).max()
        np.testing.assert_allclose(fitted.transform(lazy), plane, atol=tolerance)
        np.testing.assert_allclose(fitted.transform(run.iterates), plane, atol=tolerance)
        np.testing.assert_allclose(fitted.transform(run.thin(3).iterates), plane[::3], atol=tolerance)
        np.testing.assert_allclose(fitted.transform(run.iterates.take([5, 2])), plane[[5, 2]], atol=tolerance)


def test_what_is_not_certainly_a_fitted_iterate_is_read(lazy, thetas, tmp_path):
    space = RowSpace(n_components=3).fit(lazy)
    assert space.components_.size, "read while the run is there"
    assert space.fitted_places(lazy[:]) is None, "an array may have been written to"
    assert space.fitted_places(lazy.narrow([slice(0, 4999)])) is None
    assert space.fitted_places(lazy.narrow([slice(0, 9), slice(9, 5000)])) is not None
    assert space.fitted_places(lazy.narrow([slice(9, 5000), slice(0, 9)])) is None
    other = thetas.copy()
    other[3, 17] += 1
    Trajectory.of(other.astype(np.float32)).save(tmp_path / "other")
    elsewhere = Trajectory.open(tmp_path / "other").iterates
    assert space.fitted_places(elsewhere) is None
    assert space.fitted_places(Iterates.stack([lazy, elsewhere])) is None
    (tmp_path / "run").rename(tmp_path / "old")
    (tmp_path / "other").rename(tmp_path / "run")
    replaced = Trajectory.open(tmp_path / "run").iterates
    assert space.fitted_places(replaced) is None
    moved = space.transform(replaced) - space.embedding_
    assert np.abs(moved[3]).max() > 1e3 * np.abs(np.delete(moved, 3, axis=0)).max()
    assert RowSpace(n_components=3).fit(thetas).fitted_places(lazy) is None


def test_a_pickle_of_a_large_space_holds_no_iterates(lazy, monkeypatch):
    monkeypatch.setattr(rowspace, "_KEEP_BYTES", 0)
    space = RowSpace().fit(lazy)
    # the mean, twice, and numbers for each pair of iterates, but not the 1.6 MB of these
    assert len(pickle.dumps(space)) < 8 * (lazy.shape[1] + 4 * 80**2) + 80 * 1000


@pytest.mark.parametrize("dtype", ["native", "delta16"])
def test_a_basis_is_never_read_from_another_run(dtype, tmp_path):
    """The basis is read when it is asked for; by then the run may be gone, or another may lie in its place."""
    model = torch.nn.Linear(20, 10)
    for name in ("run", "other"):
        with Recorder(model, tmp_path / name, dtype=dtype) as recorder:
            for _ in range(5):
                with torch.no_grad():
                    model.weight += 0.01 * torch.randn(20, 10).T
                recorder.record()
    points = Trajectory.open(tmp_path / "run").iterates
    spaces = [RowSpace(n_components=2).fit(points) for _ in range(3)]
    exact = points[:].astype(np.float64)
    kept = spaces[2].inverse_transform(spaces[2].embedding_)
    np.testing.assert_allclose(spaces[2].mean_, exact.mean(axis=0), atol=1e-15)
    (tmp_path / "run").rename(tmp_path / "old")
    with pytest.raises(RunFormatError, match="expected the iterate at the opening of the run"):
        spaces[0].inverse_transform(np.zeros((1, 2)))
    (tmp_path / "other").rename(tmp_path / "run")
    for use in (lambda: spaces[0].mean_, lambda: spaces[0].components_, lambda: pickle.dumps(spaces[1])):
        with pytest.raises(RunFormatError, match="expected the iterate at the opening of the run"):
            use()
    np.testing.assert_array_equal(spaces[2].inverse_transform(spaces[2].embedding_), kept)
    np.testing.assert_array_equal(spaces[0].embedding_, spaces[2].embedding_)


def test_an_array_may_be_written_to_after_the_fit(thetas):
    X = thetas.copy()
    space = RowSpace(n_components=5).fit(X)
    expected = RowSpace(n_components=5).fit(thetas).components_
    X[:] = 0
    np.testing.assert_array_equal(space.components_, expected)


@pytest.fixture
def cut(monkeypatch):
    """Small blocks and tasks, so that a small run has many."""
    monkeypatch.setattr(gram, "_READ_BYTES", 80 * 300 * 4)
    monkeypatch.setattr(gram, "_TASK_BYTES", 80 * 700 * 4)


def states_agree(one, other):
    np.testing.assert_array_equal(one.singular_values_, other.singular_values_)
    np.testing.assert_array_equal(one.embedding_, other.embedding_)
    np.testing.assert_array_equal(one.residuals_, other.residuals_)


@pytest.mark.slow
def test_executors_give_the_same_bits(lazy, thetas, cut):
    here = RowSpace(n_components=4, block_size=100).fit(lazy)
    context = multiprocessing.get_context("spawn")
    with (
        concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as processes,
        concurrent.futures.ThreadPoolExecutor(3) as threads,
    ):
        for pool in (processes, threads):
            states_agree(RowSpace(n_components=4, block_size=100).fit(lazy, executor=pool), here)
        chart = make_pipeline(RowSpace(n_components=4, block_size=100), PCA(2)).fit(lazy, rowspace__executor=processes)
        states_agree(chart[0], here)
        array = RowSpace(n_components=4).fit(thetas, executor=processes)
        states_agree(array, RowSpace(n_components=4).fit(thetas))
        on_device = RowSpace(n_components=4, device="cpu").fit(thetas, executor=processes)
        np.testing.assert_allclose(on_device.singular_values_, array.singular_values_, rtol=1e-10)
        broken = thetas.copy()
        broken[[3, 11], 4999] = np.nan
        with pytest.raises(InputError, match=r"NaN or inf in 2 of n_samples = 80 rows \(3, 11\)"):
            RowSpace().fit(broken, executor=processes)


def test_a_task_carries_names_and_columns(lazy, cut):
    """Not numbers: of the 1.6 MB of the run no more than some hundred bytes a row."""
    sent = []

    class Recording(concurrent.futures.ThreadPoolExecutor):
        def submit(self, work, *args):
            sent.append(len(pickle.dumps((work, args))))
            return super().submit(work, *args)

    with Recording(1) as pool:
        RowSpace(block_size=100).fit(lazy, executor=pool)
    assert len(sent) == 8
    assert max(sent) < 600 * 80


class Countdown:
    """An executor that does something once a number of tasks is handed out."""

    def __init__(self, executor, after, action):
        self._executor, self._left, self._action = executor, after, action

    def submit(self, work, *args):
        future = self._executor.submit(work, *args)
        self._left -= 1
        if self._left == 0:
            self._action()
        return future


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_cluster_that_loses_a_worker_loses_nothing(lazy, cut):
    """Two real Dask workers, one of which is killed in mid-pass."""
    distributed = pytest.importorskip("distributed")
    here = RowSpace(n_components=4, block_size=10).fit(lazy)
    with (
        warnings.catch_warnings(action="ignore"),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        killed = []

        def kill():
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

        pool = Countdown(client.get_executor(retries=3), 5, kill)
        states_agree(RowSpace(n_components=4, block_size=10).fit(lazy, executor=pool), here)
        assert killed


MEMORY = """
import resource, sys
import numpy as np
from trajmap.data import gram
from trajmap.data.trajectory import Trajectory
from trajmap.reduction.rowspace import RowSpace

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

warm = RowSpace(n_components=2).fit(np.random.default_rng(0).normal(size=(30, 20_000)).astype(np.float32))
warm.components_
points = Trajectory.open(sys.argv[1]).iterates
before = peak()
space = RowSpace(n_components=2).fit(points)
fitted = peak() - before
space.frame()
n, P = points.shape
print((fitted - 3 * 8 * n**2) / gram._READ_BYTES, (peak() - before - 3 * 8 * P) / gram._READ_BYTES)
"""


@pytest.mark.slow
def test_memory_is_two_blocks(tmp_path):
    """Of a run of 250 MB, in a process of its own: two blocks of 32 MiB, however long it is."""
    P = 2_000_000
    header = RunHeader(Layout(("w",), ((P,),)), "float32", {})
    header.write(tmp_path)
    rng, theta = np.random.default_rng(0), np.zeros(P, np.float32)
    for i in range(32):
        theta += rng.standard_normal(P, dtype=np.float32)
        write_iterate(iterate_path(tmp_path, i), header, theta, Notes(i, {}))
    out = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    fitted, with_basis = map(float, out.stdout.split())
    # beside the blocks, products of 4096 columns
    assert fitted < 2.15
    assert with_basis < 2.3


def late_small_steps(T=300, P=40_000, mean=30.0):
    """Iterates far from zero whose late steps are 1e-4 of the early ones; kept in float32 as a recorder would."""
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(T, P)) * np.geomspace(1, 1e-4, T)[:, None]
    return (mean + np.cumsum(steps, axis=0)).astype(np.float32)


@pytest.mark.slow
def test_products_in_float32_keep_small_steps():
    """Uncentred float32 products lose them altogether; products of the steps do not."""
    thetas = late_small_steps()
    exact = np.linalg.norm(np.diff(thetas.astype(np.float64), axis=0), axis=1)
    X = RowSpace(increments=False).fit_transform(thetas)
    np.testing.assert_allclose(np.linalg.norm(np.diff(X, axis=0), axis=1)[:200], exact[:200], rtol=1e-5)
    np.testing.assert_allclose(pdist(X[::7]), pdist(thetas[::7].astype(np.float64)), rtol=2e-5)
    careful = RowSpace(increments=True).fit_transform(thetas)
    np.testing.assert_allclose(np.linalg.norm(np.diff(careful, axis=0), axis=1), exact, rtol=1e-6)
    np.testing.assert_allclose(pdist(careful[::7]), pdist(thetas[::7].astype(np.float64)), rtol=1e-6)
    # what a float32 Gram matrix of the iterates themselves would say of the last step
    naive = thetas @ thetas.T
    last = naive[-1, -1] + naive[-2, -2] - 2 * naive[-1, -2]
    assert abs(last - exact[-1] ** 2) > 10 * exact[-1] ** 2


def test_increments_resolve_what_a_gram_matrix_cannot():
    """Steps of 1e-10 of the extent, in float64."""
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.normal(size=(40, 500)) * np.geomspace(1, 1e-10, 40)[:, None], axis=0)
    careful = RowSpace(increments=True).fit_transform(X)
    exact = np.linalg.norm(np.diff(X, axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(careful, axis=0), axis=1), exact, rtol=1e-4)
    plain = RowSpace(increments=False).fit_transform(X)
    np.testing.assert_array_equal(RowSpace().fit_transform(X), careful)
    coordinates = isometric_coordinates(X)
    np.testing.assert_allclose(np.linalg.norm(np.diff(coordinates, axis=0), axis=1), exact, rtol=1e-4)
    assert np.abs(np.linalg.norm(np.diff(plain, axis=0), axis=1) / exact - 1).max() > 0.1
    space = RowSpace(increments=True).fit(X)
    np.testing.assert_allclose(space.inverse_transform(careful), X, atol=1e-12)
    # a basis vector along a direction of 1e-10 of the extent is itself right to 1e-6 only
    np.testing.assert_allclose(space.transform(X), careful, atol=1e-5)


@pytest.mark.parametrize("decay", [1e-4, 1e-7])
def test_decaying_steps_are_resolved_by_default(decay):
    """Against the points themselves: lengths and distances to 1e-6, whatever the decay."""
    X = np.cumsum(np.random.default_rng(1).normal(size=(120, 800)) * np.geomspace(1, decay, 120)[:, None], axis=0)
    exact = np.linalg.norm(np.diff(X, axis=0), axis=1)
    for coordinates in (RowSpace().fit_transform(X), isometric_coordinates(X)):
        np.testing.assert_allclose(np.linalg.norm(np.diff(coordinates, axis=0), axis=1), exact, rtol=1e-6)
        np.testing.assert_allclose(pdist(coordinates), pdist(X), rtol=1e-6)
    # few dimensions stay few
    flat = X[:, :4] @ np.linalg.qr(np.random.default_rng(2).normal(size=(60, 4)))[0].T
    assert RowSpace().fit(flat).n_components_ == isometric_coordinates(flat).shape[1] == 4
    with pytest.raises(InputError, match="increments: expected"):
        RowSpace(increments="often").fit(X)


def test_number_formats_and_devices_agree(thetas):
    wide = RowSpace().fit_transform(thetas)
    for options in ({"dtype": np.float32}, {"device": "cpu"}, {"block_size": 333}):
        X = RowSpace(n_components=5, **options).fit_transform(thetas)
        np.testing.assert_allclose(X, wide[:, :5], rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="dtype: expected float32 or float64"):
        RowSpace(dtype=np.float16).fit(thetas)


def test_squares_beyond_float32_are_summed_in_float64():
    X = np.array([[0, 0], [1e25, 0], [0, 3e25]], np.float32)
    np.testing.assert_allclose(pdist(RowSpace().fit_transform(X)), [1e25, 3e25, 10**0.5 * 1e25], rtol=1e-6)
    with pytest.raises(InputError, match="numbers whose squares are finite"):
        RowSpace().fit(1e200 * np.eye(3))


def test_truncation_by_variance(thetas):
    space = RowSpace(n_components=0.99).fit(thetas)
    ratios = RowSpace().fit(thetas).explained_variance_ratio_
    assert space.n_components_ == np.searchsorted(np.cumsum(ratios), 0.99) + 1
    assert space.explained_variance_ratio_.sum() >= 0.99


def test_sketches_carry_their_error(tmp_path):
    model = torch.nn.Linear(50, 40)
    with Recorder(model, tmp_path / "run", sketch=CountSketch(size=512)) as recorder:
        for _ in range(4):
            with torch.no_grad():
                model.weight += torch.randn(40, 50)
            recorder.record()
    run = Trajectory.open(tmp_path / "run")
    assert RowSpace().fit(run.iterates[:]).distance_error_ == 0, "a plain array is taken at its word"
    for iterates in (run.iterates, run.thin(2).iterates, Fan(("a", "b"), (run, run)).iterates):
        assert RowSpace().fit(iterates).distance_error_ == pytest.approx(0.5 * (2 / 512) ** 0.5)


def test_rank_is_found():
    rng = np.random.default_rng(0)
    assert RowSpace().fit(rng.normal(size=(30, 4)) @ rng.normal(size=(4, 200))).n_components_ == 4


def test_the_users_array_is_not_changed(thetas):
    copy = thetas.copy()
    RowSpace().fit(copy).transform(copy)
    np.testing.assert_array_equal(copy, thetas)


def test_worded_errors(thetas):
    broken = thetas[:20, :10].copy()
    broken[[3, 11]] = np.nan
    with pytest.raises(InputError, match=r"NaN or inf in 2 of n_samples = 20 rows \(3, 11\).*trajectory.finite"):
        RowSpace().fit(broken)
    with pytest.raises(InputError, match="points that differ"):
        RowSpace().fit(np.ones((5, 4)))
    with pytest.raises(InputError, match="at most 4, the rank of the points"):
        RowSpace(n_components=5).fit(thetas[:5])
    with pytest.raises(ValueError, match="1 sample"):
        RowSpace().fit(thetas[:1])
    with pytest.raises(InputError, match="tol"):
        RowSpace(tol=-1).fit(thetas)
