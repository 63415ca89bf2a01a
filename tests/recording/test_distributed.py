"""Two processes train one model: copies are recorded once, shards by each, and both open as one run."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from trajmap.data.trajectory import Trajectory
from trajmap.recording.recorder import Recorder
from trajmap.reduction.rowspace import RowSpace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()), reason="no gloo here"
    ),
]

PRELUDE = """
import os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
import torch.distributed as dist
from trajmap.recording import Recorder
folder = sys.argv[1]
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=int(sys.argv[3]), world_size=2)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 2))
def train(model, optimizer, recorder, n, first=0):
    for i in range(first, first + n):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(2 * i + SEED))
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        recorder.record({"loss": loss.item()})
"""


def two_processes(code, tmp_path, *, tries=1):
    script = tmp_path / "script.py"
    # gloo's threads race with the interpreter's end (terminate called without an active exception): all is written
    # by then, so the end is skipped
    leave = "\ndist.barrier()\ndist.destroy_process_group()\nsys.stdout.flush()\nos._exit(0)\n"
    script.write_text(textwrap.dedent(PRELUDE) + textwrap.dedent(code) + leave)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, str(script), str(tmp_path / "run"), str(tmp_path / f"meet-{tries}")]
    children = [
        subprocess.Popen(
            [*command, str(rank)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for rank in range(2)
    ]
    told = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], "\n".join(told)


def test_copies_are_recorded_by_the_first(tmp_path):
    two_processes(
        """
        SEED = dist.get_rank()
        copy = torch.nn.parallel.DistributedDataParallel(model)
        optimizer = torch.optim.SGD(copy.parameters(), lr=0.1)
        with Recorder(copy, folder, norms=True).attach(optimizer) as recorder:
            train(copy, optimizer, recorder, 6)
            assert recorder.state_dict() == {"step": 6}
        flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).numpy()
        np.save(folder + f"-{dist.get_rank()}.npy", flat)
        """,
        tmp_path,
    )
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == list(range(7))
    assert run.layout.names[0] == "0.weight"
    for rank in range(2):
        np.testing.assert_array_equal(run.theta(-1), np.load(tmp_path / f"run-{rank}.npy"))


SHARDED = """
SEED = 0
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
mesh = init_device_mesh("cpu", (2,))
fully_shard(model[0], mesh=mesh)
fully_shard(model[2], mesh=mesh)
fully_shard(model, mesh=mesh)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
"""


def test_second_moments_of_shards_open_as_one(tmp_path):
    two_processes(
        SHARDED
        + """
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
with Recorder(model, folder).attach(optimizer):
    for i in range(12):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(i))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
whole = [optimizer.state[p]["exp_avg_sq"].full_tensor().reshape(-1) for p in model.parameters()]
if dist.get_rank() == 0:
    np.save(folder + ".npy", torch.cat(whole).numpy())
""",
        tmp_path,
    )
    run = Trajectory.open(tmp_path / "run")
    moments = run.second_moments
    assert list(moments) == [2, 4, 6, 8, 10, 12]
    np.testing.assert_array_equal(moments[12], np.load(tmp_path / "run.npy"))
    assert (moments.counts(12) == 12).all()
    np.testing.assert_array_equal(run.select("2.*").second_moments[12], np.load(tmp_path / "run.npy")[-12:])


def test_shards_open_as_one_run(tmp_path):
    """FSDP2 over two processes, against the same training in one."""
    two_processes(
        SHARDED
        + """
with Recorder(model, folder, norms=False).attach(optimizer) as recorder:
    train(model, optimizer, recorder, 6)
with Recorder(model, folder, resume=True).attach(optimizer) as recorder:
    train(model, optimizer, recorder, 3, first=6)
""",
        tmp_path,
    )
    run = Trajectory.open(tmp_path / "run")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with Recorder(model, tmp_path / "alone").attach(optimizer) as recorder:
        for i in range(9):
            x = torch.randn(8, 3, generator=torch.Generator().manual_seed(2 * i))
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            recorder.record({"loss": loss.item()})
    alone = Trajectory.open(tmp_path / "alone")
    run.layout.require(alone.layout, "alone")
    np.testing.assert_array_equal(run.steps, alone.steps)
    # two processes sum the gradient in another order
    np.testing.assert_allclose(run.iterates[:], alone.iterates[:], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(run.iterates[2:4, 7:31], alone.iterates[2:4, 7:31], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(run.select("2.*").iterates[:], alone.select("2.*").iterates[:], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(run.scalars["loss"], alone.scalars["loss"], rtol=1e-4)
    np.testing.assert_allclose(run.buffers(4)["1.running_mean"], alone.buffers(4)["1.running_mean"], rtol=1e-4)
    assert run.history.seams == (6,)
    assert RowSpace().fit_transform(run.iterates).shape[0] == 10
    run.iterates.verify()
    # an iterate that one shard lost was whole once: it is named
    lost = sorted((tmp_path / "run" / "shard-00001" / "iterates").iterdir())[3]
    lost.unlink()
    with pytest.warns(RuntimeWarning, match="dropped .* damaged .* iterates: shard 1, 000000000003: missing"):
        assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
