"""What is on the disk when the process, the disk or a file dies."""

import os
import random
import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from trajmap.data.trajectory import Trajectory
from trajmap.errors import DiskWarning
from trajmap.recording import encoding as writing
from trajmap.recording.recorder import Recorder


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
            recorder.record({"loss": 1.0})
    return model


@pytest.mark.parametrize("n", [2, 5, 9])
def test_a_full_disk_ends_the_recording_and_not_the_training(tmp_path, monkeypatch, n):
    plain = loop(tmp_path / "plain", 12)
    monkeypatch.setattr(writing, "write_iterate", FullAfter(n))
    with pytest.warns(
        RuntimeWarning, match=rf"recording stopped after {n} iterates .*No space left.*training continues"
    ):
        model = loop(tmp_path / "full", 12)
    assert torch.equal(model.weight, plain.weight)
    monkeypatch.undo()
    run = Trajectory.open(tmp_path / "full")
    assert run.n_iterates == n
    np.testing.assert_array_equal(run.iterates[:], Trajectory.open(tmp_path / "plain").iterates[:n])


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
