"""Hessian products of two processes equal those of one: data spread over ranks, and parameters sharded over them."""

import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from trajmap.objective.distributed import RankMean, sharded_hessian
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective


def tell(*words):  # in one write: two processes share the stream
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)).double()
x, y = torch.randn(12, 5).double(), torch.randint(0, 3, (12,))
loss = supervised(torch.nn.functional.cross_entropy)
mine = slice(0, 8) if rank == 0 else slice(8, 12)
objective = Objective(net, loss, [(x, y)])
theta = objective.tensor(objective.theta)
v = torch.randn(objective.size, generator=torch.Generator().manual_seed(1)).double()
expected = objective.hessian(theta).multiply(v)

own = Objective(net, loss, [(x[mine], y[mine])])
spread = RankMean(own.hessian(theta), samples=len(x[mine])).multiply(v)
tell("spread", float((spread - expected).norm() / expected.norm()))

before = {name: p.detach().clone() for name, p in net.named_parameters()}
net.train()
mesh = init_device_mesh("cpu", (2,))
fully_shard(net[0], mesh=mesh)
fully_shard(net[2], mesh=mesh)
fully_shard(net, mesh=mesh)
half = slice(0, 6) if rank == 0 else slice(6, 12)
sharded = sharded_hessian(net, loss, [(x[half], y[half])])
found = sharded.multiply(v)
tell("sharded", float((found - expected).norm() / expected.norm()), sharded.error)
same = all(torch.equal(p.full_tensor(), before[name]) for name, p in net.named_parameters())
tell("untouched", same and net.training and all(p.grad is None for p in net.parameters()))
dist.barrier()
sys.stdout.flush()
import os
os._exit(0)  # gloo may abort while the interpreter ends
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_products_of_two_ranks(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    words = [line.split() for line in done.stdout.splitlines() if line]
    found = {name: [row[1:] for row in words if row[0] == name] for name in ("spread", "sharded", "untouched")}
    assert len(found["spread"]) == len(found["sharded"]) == 2, done.stdout
    assert all(float(error) < 1e-12 for (error,) in found["spread"])
    for error, stated in found["sharded"]:
        assert float(error) < 1e-7
        assert float(error) < 10 * float(stated), "the operator states its error"
    assert found["untouched"] == [["True"], ["True"]]
