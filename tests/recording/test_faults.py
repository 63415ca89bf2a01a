"""What is on the disk when the process, the disk or a file dies."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from trajmap.data.layout import Layout
from trajmap.data.store import RunHeader
from trajmap.data.trajectory import Trajectory
from trajmap.errors import DiskWarning
from trajmap.recording import encoding as writing
from trajmap.recording.recorder import Recorder
from trajmap.recording.writer import RunWriter

LAYOUT = Layout(("w",), ((5000,),))


def theta(i):
    return np.random.default_rng(i).standard_normal(LAYOUT.size).astype(np.float32)


def write_until_killed(folder, acknowledgements):
    """Child: write iterates and acknowledge each through a pipe once the writer says that it is on the disk."""
    writer = RunWriter(folder)
    writer.begin(RunHeader(LAYOUT, "float32", {}))
    told = 0
    for i in range(10_000):
        slot = writer.acquire(wait=True)
        slot.theta[:] = theta(i)
        writer.write(slot, step=i, scalars={"i": i})
        while told < writer.n_written:
            told += 1
            os.write(acknowledgements, b".")


@pytest.mark.parametrize("batch", range(4))
def test_killed_at_random_moments(tmp_path, batch):
    """Fifty kills a batch: every acknowledged iterate is there, bit-exact, and nothing else is wrong."""
    dice = random.Random(batch)
    for trial in range(50):
        folder = tmp_path / str(trial)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            try:
                write_until_killed(folder, write)
            finally:
                os._exit(1)
        os.close(write)
        os.read(read, 2)
        time.sleep(dice.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acknowledged = 2
        while chunk := os.read(read, 4096):
            acknowledged += len(chunk)
        os.close(read)
        if acknowledged < 3:
            continue
        run = Trajectory.open(folder)
        assert run.n_iterates >= acknowledged - 1
        run.iterates.verify()
        for i in (0, run.n_iterates // 2, run.n_iterates - 1):
            np.testing.assert_array_equal(run.theta(i), theta(i))
        np.testing.assert_array_equal(run.scalars["i"], np.arange(run.n_iterates))


class FullAfter:
    """Stand between the writer and the disk: the n-th write finds it full. The disk is the one thing faked here."""

    def __init__(self, n):
        self.left, self.real = n, writing.write_iterate

    def __call__(self, *args, **kwargs):
        if not self.left:
            raise OSError(28, "No space left on device")
        self.left -= 1
        self.real(*args, **kwargs)


def loop(folder, steps, **options):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, folder, **options).attach(optimizer) as recorder:
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
            recorder.record(loss=1.0)
    return model


@pytest.mark.parametrize("n", [2, 5, 9])
def test_a_full_disk_ends_the_recording_and_not_the_training(tmp_path, monkeypatch, n):
    plain = loop(tmp_path / "plain", 12)
    monkeypatch.setattr(writing, "write_iterate", FullAfter(n))
    with pytest.warns(RuntimeWarning, match=rf"recording stopped after {n} iterates .*No space left.*training goes on"):
        model = loop(tmp_path / "full", 12)
    assert torch.equal(model.weight, plain.weight)
    monkeypatch.undo()
    run = Trajectory.open(tmp_path / "full")
    assert run.n_iterates == n
    np.testing.assert_array_equal(run.iterates[:], Trajectory.open(tmp_path / "plain").iterates[:n])


@pytest.fixture
def small_disk(tmp_path):
    """Make file systems of a few kilobytes."""
    mounted = []

    def mount(kilobytes):
        disk = tmp_path / f"disk-{kilobytes}"
        disk.mkdir()
        order = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(order, check=False, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("dtype", ["native", "delta16"])
def test_disks_that_fill_at_any_point(tmp_path, small_disk, dtype):
    """Thirty sizes of a real file system: training ends as it would, and the run is whole up to where it stopped."""
    reference = loop(tmp_path / "reference", 40, dtype=dtype)
    whole = Trajectory.open(tmp_path / "reference").iterates[:]
    stopped = set()
    for kilobytes in range(16, 136, 4):
        disk = small_disk(kilobytes)
        with pytest.warns(DiskWarning), pytest.warns(RuntimeWarning, match="recording stopped after .*No space left"):
            model = loop(disk / "run", 40, dtype=dtype)
        assert torch.equal(model.weight, reference.weight)
        run = Trajectory.open(disk / "run")
        run.iterates.verify()
        np.testing.assert_array_equal(run.iterates[:], whole[: run.n_iterates])
        assert not list((disk / "run" / "iterates").glob("*.part")), "the half-written file is cleared away"
        stopped.add(run.n_iterates)
    assert len(stopped) > 20, "the disks filled at different iterates"


def test_a_full_disk_can_be_resumed_elsewhere(tmp_path, small_disk):
    """Copied to a larger disk, the run goes on."""
    disk = small_disk(64)
    with pytest.warns(DiskWarning), pytest.warns(RuntimeWarning, match="No space left"):
        loop(disk / "run", 40)
    shutil.copytree(disk / "run", tmp_path / "run")
    before = Trajectory.open(tmp_path / "run")
    model = torch.nn.Linear(3, 1)
    with Recorder(model, tmp_path / "run", resume=True) as recorder:
        recorder.record()
    after = Trajectory.open(tmp_path / "run")
    assert after.n_iterates == before.n_iterates + 1
    np.testing.assert_array_equal(after.iterates[:-1], before.iterates[:])


@pytest.mark.parametrize("dtype", ["native", "delta16"])
def test_truncated_files(tmp_path, dtype):
    """A hundred and fifty cuts each: what the cut did not reach is returned bit-exact, and the loss is told."""
    loop(tmp_path / "run", 20, dtype=dtype)
    whole = Trajectory.open(tmp_path / "run")
    thetas = whole.iterates[:]
    files = sorted((tmp_path / "run" / "iterates").iterdir())
    dice = random.Random(0)
    for _ in range(150):
        place = dice.randrange(21)
        content = files[place].read_bytes()
        files[place].write_bytes(content[: dice.randrange(len(content))])
        with pytest.warns(RuntimeWarning, match=rf"dropped \d+ damaged of 21 iterates: {place:012d}: expected"):
            found = Trajectory.open(tmp_path / "run")
        lost = 1 if dtype == "native" else (16 - place if place < 16 else 21 - place)
        assert found.n_iterates == 21 - lost
        np.testing.assert_array_equal(found.iterates[:], thetas[found.steps])
        files[place].write_bytes(content)


def test_the_folder_is_flushed_after_the_rename(tmp_path, monkeypatch):
    """A power cut takes back a rename that the folder was not flushed for."""
    told = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        told.append(kind)
        real_fsync(handle)

    def replace(self, target):
        told.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    loop(tmp_path / "run", 1)
    assert told[2:4] == ["folder", "folder"], "run.json, and the run folder in its own"
    assert told[-3:] == ["file", "rename", "folder"]


def test_a_slow_disk_makes_the_loop_wait_or_skip(tmp_path, monkeypatch):
    real = writing.write_iterate

    def slow(*args, **kwargs):
        time.sleep(0.02)
        real(*args, **kwargs)

    monkeypatch.setattr(writing, "write_iterate", slow)
    loop(tmp_path / "wait", 12)
    assert Trajectory.open(tmp_path / "wait").steps.tolist() == list(range(13))
    loop(tmp_path / "skip", 60, on_full="skip")
    run = Trajectory.open(tmp_path / "skip")
    assert run.n_iterates < 61
    assert run.steps[-1] == 60, "the last iterate is always there"
    left_out = np.diff(run.steps) - 1
    np.testing.assert_array_equal(np.nan_to_num(run.scalars["skipped"][1:]), left_out)


def test_a_loop_that_never_closes_still_ends(tmp_path):
    """The writer's thread does not keep the process alive; all but the newest iterates are on the disk."""
    code = f"""
import torch, trajmap, time
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
recorder = trajmap.Recorder(model, {str(tmp_path / "run")!r}).attach(optimizer)
for _ in range(20):
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
time.sleep(0.5)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert Trajectory.open(tmp_path / "run").n_iterates >= 18
