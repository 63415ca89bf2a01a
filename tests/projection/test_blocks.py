"""Long work: the same bytes here, in processes and on a cluster; a killed surface goes on."""

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import torch

from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface

GRID = Grid((np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)))


def problem():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(40, 5, generator=generator), torch.randint(3, (40,), generator=generator)
    loss = supervised(torch.nn.functional.cross_entropy)
    objective = Objective(model, loss, [batch], metrics={"accuracy": accuracy})
    plane = Plane(objective.theta, np.random.default_rng(0).normal(size=(2, objective.size)))
    thetas = objective.theta + np.linspace(0, 1, 6)[:, None] * plane.directions[0]
    return objective, plane, Trajectory.of(thetas, layout=objective.layout)


def same(land, other):
    for name in ("values", "distance", "support", "path_values", "lifted_values"):
        np.testing.assert_array_equal(getattr(land, name), getattr(other, name))
    np.testing.assert_array_equal(land.metrics["accuracy"], other.metrics["accuracy"])


@pytest.fixture(scope="module")
def here():
    objective, plane, run = problem()
    return surface(objective, plane, GRID, trajectory=run, block=8)


def test_metrics_are_evaluated_beside_the_loss(here):
    objective, plane, _ = problem()
    theta = plane.inverse_transform(GRID.points[11:12])[0]
    assert here.metrics["accuracy"].ravel()[11] == objective.metrics(theta)["accuracy"]
    assert here.values.ravel()[11] == objective.value(theta)


@pytest.mark.parametrize("block", [1, 10, 63])
def test_blocks_change_nothing(here, block):
    objective, plane, run = problem()
    land = surface(objective, plane, GRID, trajectory=run, block=block)
    np.testing.assert_array_equal(land.values, here.values)
    np.testing.assert_array_equal(land.support, here.support)
    # a product of matrices of other shapes is summed in another order
    np.testing.assert_allclose(land.distance, here.distance, rtol=1e-12)


@pytest.mark.slow
def test_processes_give_the_same_bytes(here):
    objective, plane, run = problem()
    context = multiprocessing.get_context("spawn")  # nothing is inherited: all that is needed travels
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        same(surface(objective, plane, GRID, trajectory=run, block=8, executor=pool), here)


class KilledError(RuntimeError):
    pass


def test_a_killed_surface_goes_on(here, tmp_path):
    objective, plane, run = problem()

    def stop(done, total):
        if done > 30:
            raise KilledError

    with pytest.raises(KilledError):
        surface(objective, plane, GRID, trajectory=run, block=8, out=tmp_path / "parts", progress=stop)
    assert len(list((tmp_path / "parts").glob("*.npz"))) == 4
    told = []
    land = surface(
        objective, plane, GRID, trajectory=run, block=8, out=tmp_path / "parts", progress=lambda *x: told.append(x)
    )
    same(land, here)
    assert told[3] == (32, 75), "finished blocks are counted at once"
    assert not (tmp_path / "parts").exists()
    with pytest.raises(KilledError):
        surface(objective, plane, GRID, trajectory=run, block=8, out=tmp_path / "parts", progress=stop)
    other = Grid.around(plane.transform(run.iterates), n_points=5)
    with pytest.warns(RuntimeWarning, match="4 blocks of other work.*starts again"):
        changed = surface(objective, plane, other, trajectory=run, out=tmp_path / "parts")
    np.testing.assert_array_equal(changed.values, surface(objective, plane, other).values)
    assert not (tmp_path / "parts").exists()


SCRIPT = """
import os, sys
import numpy as np, torch
from trajmap.data.results.landscape import Grid
from trajmap.data.plane import Plane
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface

scale, shift, killed = float(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "killed"
torch.manual_seed(0)
model = torch.nn.Linear(3, 2)
objective = Objective(model, lambda m, b: scale * m(b).square().mean(), [torch.randn(8, 3) + shift])
evaluated = []

def progress(done, total):
    evaluated.append(done)
    if killed and len(evaluated) == 3:
        os._exit(9)

axis = np.linspace(-1, 1, 10)
plane = Plane(np.zeros(8), np.eye(8)[:2])
land = surface(objective, plane, Grid((axis, axis)), out=sys.argv[1], block=10, progress=progress)
print(land.values.sum().hex())
"""


def in_a_process(out, scale=1.0, shift=0.0, how="whole"):
    line = [sys.executable, "-c", SCRIPT, str(out), str(scale), str(shift), how]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_surface_goes_on_in_another_process_and_starts_anew_where_it_is_another(tmp_path):
    out = tmp_path / "parts"
    whole = in_a_process(out).stdout
    assert in_a_process(out, how="killed").returncode == 9
    written = {path.name: path.stat().st_mtime_ns for path in out.glob("*.npz")}
    assert len(written) == 2 or len(written) == 3
    # a block that is not whole is done again
    first = min(out.glob("*.npz"))
    first.write_bytes(first.read_bytes()[:40])
    again = in_a_process(out, how="killed")
    assert again.returncode == 9
    assert not again.stderr
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("*.npz")}
    assert all(kept[name] == time for name, time in written.items() if name != first.name)
    resumed = in_a_process(out)
    assert (resumed.stdout, resumed.stderr) == (whole, "")
    assert not out.exists()
    for change in ({"scale": 1.001}, {"shift": 0.01}):
        assert in_a_process(out, how="killed").returncode == 9
        found = in_a_process(out, **change)
        assert "blocks of other work" in found.stderr
        assert found.stdout == in_a_process(tmp_path / "new", **change).stdout != whole


def test_files_of_others_are_left_alone(tmp_path):
    objective, plane, _ = problem()
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    surface(objective, plane, GRID, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    np.savez(tmp_path / "000000007.npz", a=np.ones(1))
    with pytest.raises(InputError, match="out: expected a new folder, or that of an unfinished surface"):
        surface(objective, plane, GRID, out=tmp_path)
    assert (tmp_path / "000000007.npz").exists()


def test_nothing_is_pickled_where_nothing_travels(tmp_path):
    lock, model = threading.Lock(), torch.nn.Linear(3, 1)

    def loss(m, x):
        with lock:  # which cannot be pickled
            return m(x).square().mean()

    objective = Objective(model, loss, [torch.eye(3)])
    plane = Plane(np.zeros(4), np.eye(2, 4))
    found = surface(objective, plane, GRID, out=tmp_path / "parts")
    assert np.isfinite(found.values).all()


class Cubic:
    """A user's own chart: curved, and without a frame."""

    def transform(self, X):
        return np.asarray(X)[:, :2]

    def inverse_transform(self, Z):
        return np.concatenate([Z, Z**3, np.zeros((len(Z), 71))], axis=1)


@pytest.mark.slow
def test_a_chart_without_a_frame_goes_the_same_ways(tmp_path):
    objective, _, run = problem()
    chart = Cubic()
    land = surface(objective, chart, GRID, trajectory=run)
    lifts = chart.inverse_transform(GRID.points)
    np.testing.assert_allclose(land.values.ravel(), objective.values(lifts), rtol=1e-6)
    brute = np.linalg.norm(lifts[:, None] - run.iterates, axis=2).min(axis=1)
    np.testing.assert_allclose(land.distance.ravel(), brute, rtol=1e-9)
    own = chart.inverse_transform(chart.transform(run.iterates))
    np.testing.assert_allclose(land.residuals, np.linalg.norm(own - run.iterates, axis=1), rtol=1e-9)
    np.testing.assert_allclose(land.lifted_values, objective.values(own), rtol=1e-6)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        same(surface(objective, chart, GRID, trajectory=run, executor=pool), land)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_cluster_that_loses_a_worker_loses_nothing(here):
    """Two real Dask workers, one of which is killed in mid-run."""
    distributed = pytest.importorskip("distributed")
    objective, plane, run = problem()
    with (
        warnings.catch_warnings(action="ignore"),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        killed = []

        def kill(done, total):
            if done >= 16 and not killed:
                os.kill(victim, signal.SIGKILL)
                killed.append(done)

        land = surface(
            objective, plane, GRID, trajectory=run, block=8, executor=client.get_executor(retries=3), progress=kill
        )
        assert killed
        same(land, here)
