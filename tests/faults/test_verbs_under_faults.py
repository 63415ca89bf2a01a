"""Work that dies or is begun wrongly ends in one worded line."""

import concurrent.futures
import json
import multiprocessing
import os

import numpy as np
import pytest
import torch

from trajmap.data.landscape import Grid
from trajmap.data.plane import Plane
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.surface import surface

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
        pytest.raises(InputError, match="executor: expected processes that live, got a pool that lost one; repair: "),
    ):
        surface(*problem(square_that_dies_elsewhere), GRID, executor=pool, block=5)


@pytest.mark.parametrize("content", [[], {"samples": "many"}, {"nonsense": True}, {"planes": 1}, "words"])
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
