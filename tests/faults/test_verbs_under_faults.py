"""Work that dies or is begun wrongly ends in one worded line."""

import concurrent.futures
import json
import multiprocessing
import os

import numpy as np
import pytest
import torch

from trajmap.cli._main import main
from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface
from trajmap.recording.recorder import Recorder

GRID = Grid((np.linspace(-1, 1, 5),) * 2)
HERE = os.getpid()


def square(model, batch):
    return model(batch).square().mean()


def square_that_dies_elsewhere(model, batch):
    if os.getpid() != HERE:
        os._exit(9)
    return square(model, batch)


def problem(loss):
    torch.manual_seed(0)
    objective = Objective(torch.nn.Linear(3, 2), loss, [torch.ones(4, 3)])
    return objective, Plane(np.zeros(8), np.eye(8)[:2])


def test_a_pool_whose_process_dies(tmp_path):
    context = multiprocessing.get_context("fork")
    with (
        concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool,
        pytest.raises(InputError, match="executor: expected living processes, got a pool that lost one; repair: "),
    ):
        surface(*problem(square_that_dies_elsewhere), GRID, executor=pool, block=5)


@pytest.mark.parametrize("content", [[], {"batch_size": "many"}, {"nonsense": True}, {"planes": 1}, "words"])
def test_a_damaged_strategy_is_not_gone_on_with(tmp_path, content):
    class StopError(Exception):
        """Leave a surface unfinished."""

    def stop(done, total):
        raise StopError

    objective, plane = problem(square)
    with pytest.raises(StopError):
        surface(objective, plane, GRID, out=tmp_path / "out", block=5, progress=stop)
    (tmp_path / "out" / "strategy.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"out: expected the strategy of an unfinished surface, got a damaged"):
        surface(objective, plane, GRID, out=tmp_path / "out", block=5)


class Sparse(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.eye(3).to_sparse())


def test_a_sparse_parameter_is_named(tmp_path):
    model = Sparse()
    with pytest.raises(InputError, match="w: expected a dense tensor, got one of layout torch.sparse_coo"):
        Recorder(model, tmp_path / "run").attach(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(InputError, match="model: expected a model that copy.deepcopy can copy"):
        Objective(model, square, [torch.ones(4, 3)])


@pytest.mark.parametrize("at", ["-1", "0"])
def test_a_count_below_one_is_one_worded_line(at, tmp_path, capsys):
    objective, _ = problem(square)
    Trajectory.of(np.zeros((3, 8)) + objective.theta, layout=objective.layout).save(tmp_path / "run")
    source = (
        "import torch, trajmap\ndef make():\n    loss = lambda m, x: m(x).square().mean()\n"
        "    return trajmap.Objective(torch.nn.Linear(3, 2), loss, [torch.ones(4, 3)])\n"
    )
    (tmp_path / "my.py").write_text(source)
    assert main(["hessian", str(tmp_path / "run"), "--at", at, "--objective", f"{tmp_path / 'my.py'}:make"]) == 1
    assert capsys.readouterr().err.splitlines() == [f"trajmap hessian: --at: expected an integer ≥ 1, got {at}"]
