"""Long work: the same bytes here, in processes and on a cluster; a killed surface goes on."""

import concurrent.futures
import multiprocessing
import os
import signal
import warnings

import numpy as np
import pytest
import torch

from trajmap.data.landscape import Grid
from trajmap.data.plane import Plane
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.projection.surface import surface

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
    with pytest.raises(InputError, match="out: expected a new folder, or that of the same work"):
        surface(
            objective, plane, Grid.around(plane.transform(run.iterates), n=5), trajectory=run, out=tmp_path / "parts"
        )


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
