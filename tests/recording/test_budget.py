"""A run keeps within its bytes, whatever stops it, and a disk that would fill is told of."""

import os
import pathlib
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from trajmap.data.thinning import Thinning
from trajmap.data.trajectory import Trajectory
from trajmap.errors import DiskWarning, InputError
from trajmap.recording.recorder import Recorder
from trajmap.recording.schedules import log_spaced
from trajmap.recording.sketch import CountSketch

BUDGET = 60_000


def make():
    torch.manual_seed(0)
    model = torch.nn.Linear(20, 40)  # an iterate takes about 4 kB
    return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def train(folder, n, *, begun=None, after=None, **options):
    """Take n steps; the weights after each are given back."""
    model, optimizer = begun or make()
    weights = [flat(model)]
    with Recorder(model, folder, **options).attach(optimizer) as recorder:
        for i in range(n):
            optimizer.zero_grad()
            model(torch.ones(3, 20)).square().mean().backward()
            optimizer.step()
            recorder.record({"loss": float(i)})
            weights.append(flat(model))
            if after is not None:
                after()
    return np.array(weights)


def flat(model):
    return torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()]).numpy()


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("n", [3, 11, 12, 13, 40, 201])
def test_the_run_keeps_within_its_bytes_evenly_spaced(tmp_path, n):
    weights = train(tmp_path / "run", n, budget=BUDGET)
    run = Trajectory.open(tmp_path / "run", verify=True)
    assert size(tmp_path / "run") <= BUDGET
    np.testing.assert_array_equal(run.iterates[:], weights[run.steps])
    np.testing.assert_array_equal(run.scalars["loss"][1:], run.steps[1:] - 1)
    interval = run.history.interval
    assert run.steps.tolist() == [*range(0, n, interval), n]
    assert interval == 1 or run.n_iterates > BUDGET / 4096 / 2 - 2, "no more is dropped than has to be"
    assert np.log2(interval) % 1 == 0


def test_bytes_never_exceed_the_budget_on_the_way(tmp_path):
    largest = 0

    def look():
        nonlocal largest
        found = 0
        for file in (tmp_path / "run").rglob("*"):
            try:
                found += file.stat().st_size if file.is_file() else 0
            except FileNotFoundError:  # removed meanwhile
                continue
        largest = max(largest, found)

    train(tmp_path / "run", 300, budget=BUDGET, after=look)
    assert 0.5 * BUDGET < largest <= BUDGET


def test_words_for_bytes(tmp_path):
    for words, number in (("60 kB", 60_000), ("0.06MB", 60_000), ("58.59375 KiB", 60_000), (60_000, 60_000)):
        train(tmp_path / "run", 30, budget=words, overwrite=True)
        mine = Trajectory.open(tmp_path / "run").steps.tolist()
        train(tmp_path / "run", 30, budget=number, overwrite=True)
        assert Trajectory.open(tmp_path / "run").steps.tolist() == mine
    for wrong in ("20 parsecs", "-3GB", 0, -1, 1.5, True, "GB"):
        with pytest.raises(
            InputError, match="budget: expected a number of bytes such as 20_000_000, '20GB' or '500 MiB'"
        ):
            Recorder(make()[0], tmp_path / "other", budget=wrong)


def test_a_schedule_and_iterates_asked_for_by_name(tmp_path):
    weights = train(tmp_path / "run", 400, budget=BUDGET, schedule=log_spaced(20))
    run = Trajectory.open(tmp_path / "run")
    assert size(tmp_path / "run") <= BUDGET
    assert (run.steps[0], run.steps[-1]) == (0, 400)
    np.testing.assert_array_equal(run.iterates[:], weights[run.steps])
    model, optimizer = make()
    with Recorder(model, tmp_path / "named", budget=BUDGET, every=1000).attach(optimizer) as recorder:
        for i in range(60):
            model(torch.ones(3, 20)).square().mean().backward()
            optimizer.step()
            recorder.record(step=i + 1)
    named = Trajectory.open(tmp_path / "named")
    assert size(tmp_path / "named") <= BUDGET
    assert (named.steps[0], named.steps[-1]) == (0, 60)
    assert named.n_iterates > 5


def test_by_hand(tmp_path):
    model, _ = make()
    with Recorder(model, tmp_path / "run", budget=BUDGET) as recorder:
        for i in range(50):
            recorder.record({"loss": float(i)})
    run = Trajectory.open(tmp_path / "run")
    assert size(tmp_path / "run") <= BUDGET
    assert run.steps.tolist() == [*range(0, 49, run.history.interval), 49]


CHILD = """
import os, pathlib, sys
import torch._dynamo  # which the first step of an optimizer imports
sys.path.insert(0, {here!r})
import test_budget
def train(left):
    real = pathlib.Path.unlink
    def unlink(self, missing_ok=False):
        nonlocal left
        if self.suffix == ".safetensors":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)
        real(self, missing_ok=missing_ok)
    pathlib.Path.unlink = unlink
    test_budget.train(pathlib.Path({run!r}) / str(left), 60, budget=test_budget.BUDGET)
    os._exit(0)
for left in {lefts!r}:
    child = os.fork() or train(left)
    assert os.waitpid(child, 0)[1] == 9
"""
LEFTS = (0, 1, 4, 8)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    script = CHILD.format(here=str(pathlib.Path(__file__).parent), lefts=LEFTS, run=str(folder))
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("left", LEFTS)
def test_killed_while_older_iterates_are_removed(tmp_path, killed, left):
    """Whether none, some or all of the files are gone, the run is the same one, without a warning."""
    shutil.copytree(killed / str(left), tmp_path / "run")
    weights = train(tmp_path / "whole", 60)
    run = Trajectory.open(tmp_path / "run", verify=True)
    interval = run.history.interval
    assert interval > 1
    assert set(np.diff(run.steps)) == {interval}
    np.testing.assert_array_equal(run.iterates[:], weights[run.steps])
    assert not run.history.dropped
    # gone on with, the half-done removal is finished and places that are gone are not used again
    model, optimizer = make()
    for _ in range(run.steps[-1]):
        optimizer.zero_grad()
        model(torch.ones(3, 20)).square().mean().backward()
        optimizer.step()
    train(tmp_path / "run", 60 - run.steps[-1], begun=(model, optimizer), budget=BUDGET, resume=True)
    again = Trajectory.open(tmp_path / "run", verify=True)
    np.testing.assert_array_equal(again.iterates[:], weights[again.steps])
    assert again.steps[-1] == 60
    assert size(tmp_path / "run") <= BUDGET
    assert len(list((tmp_path / "run" / "iterates").iterdir())) == again.n_iterates


def test_gone_back_behind_with_a_budget(tmp_path):
    """A run is resumed from an early step: what it had beyond gives way, also on the disk."""
    train(tmp_path / "run", 40, budget=BUDGET)
    first = Trajectory.open(tmp_path / "run")
    model, optimizer = make()
    weights = [flat(model)]
    with Recorder(model, tmp_path / "run", budget=BUDGET, resume=True).attach(optimizer, step=0):
        for _ in range(80):
            model(2 * torch.ones(3, 20)).square().mean().backward()
            optimizer.step()
            weights.append(flat(model))
    run = Trajectory.open(tmp_path / "run", verify=True)
    np.testing.assert_array_equal(run.iterates[:], np.array(weights)[run.steps])
    assert (run.steps[0], run.steps[-1]) == (0, 80)
    assert run.history.interval > first.history.interval
    assert size(tmp_path / "run") <= BUDGET


def test_resumed_without_a_budget_it_stays_thinned_and_whole(tmp_path):
    train(tmp_path / "run", 40, budget=BUDGET)
    before = Trajectory.open(tmp_path / "run")
    model, optimizer = make()
    with Recorder(model, tmp_path / "run", resume=True).attach(optimizer, step=40):
        model(torch.ones(3, 20)).square().mean().backward()
        optimizer.step()
    after = Trajectory.open(tmp_path / "run")
    assert after.steps[-2:].tolist() == [40, 41]
    assert after.history.interval == before.history.interval
    assert not after.history.dropped


def test_a_lost_file_of_a_thinned_run_is_still_missed(tmp_path):
    train(tmp_path / "run", 60, budget=BUDGET)
    kept = sorted((tmp_path / "run" / "iterates").iterdir())
    kept[2].unlink()
    with pytest.warns(RuntimeWarning, match=f"dropped 1 damaged of {len(kept)} iterates: {kept[2].stem}: missing"):
        Trajectory.open(tmp_path / "run")


def test_info_says_so(tmp_path, capsys):
    import argparse

    from trajmap.cli import info

    train(tmp_path / "run", 60, budget=BUDGET)
    interval = Trajectory.open(tmp_path / "run").history.interval
    info.run(argparse.Namespace(run_folder=tmp_path / "run", verify=False))
    assert f"thinned to its budget: one of {interval} due iterates is kept" in capsys.readouterr().out


def test_what_cannot_be_thinned_is_refused(tmp_path):
    model, _ = make()
    with pytest.raises(InputError, match="budget: expected iterates that are stored whole, got dtype='delta16'"):
        Recorder(model, tmp_path / "run", budget=BUDGET, dtype="delta16")
    with pytest.raises(InputError, match="budget: expected one kind of iterates"):
        Recorder(model, tmp_path / "run", budget="1GB", sketch=CountSketch(size=64, full_every=3))
    with pytest.raises(InputError, match=r"budget: expected at least .* kB, for 4 iterates of .* kB, got 10 kB"):
        Recorder(model, tmp_path / "run", budget=10_000)
    assert not (tmp_path / "run").exists()


def test_the_places_that_are_kept():
    dice = np.random.default_rng(0)
    for _ in range(50):
        below = int(dice.integers(1, 60))
        places = sorted(dice.choice(below, size=int(dice.integers(1, below + 1)), replace=False).tolist())
        found = Thinning.of(places, below=below, interval=2)
        assert [p for p in range(below + 5) if not found.drops(p)] == [*places, *range(below, below + 5)]
        assert Thinning.parse({"below": below, "interval": 2, "kept": [list(s) for s in found.kept]}) == found
    assert len(Thinning.of(range(0, 1000, 4), below=1000, interval=4).kept) == 1, "even spacing is one stretch"


class TestPace:
    """On a real disk of 2 MiB, of which half are 285 iterates of 3.7 kB."""

    @pytest.fixture
    def small_disk(self, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        order = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(order, check=False, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        yield disk
        subprocess.run(["umount", str(disk)], check=True)

    def test_a_thousand_steps_that_would_fill_half_of_the_disk(self, small_disk):
        with pytest.warns(
            DiskWarning, match=r"an iterate takes [34]\.\d+ kB, and 1000 steps .* would take .* MB"
        ) as seen:
            train(small_disk / "run", 60, every=1)
        assert len(seen) == 1, "once"
        assert "repair: every=4, or budget='1.04 MB'" in str(seen[0].message), "1000 · 3.7 kB / 1.05 MB is 3.5"
        train(small_disk / "run", 60, every=4, overwrite=True)

    def test_twice_as_far_as_it_has_come(self, small_disk):
        """Every tenth of a thousand steps fits; twice 1430 steps, with 286 iterates, do not."""
        model, optimizer = make()
        told = []
        with Recorder(model, small_disk / "run", every=10).attach(optimizer):
            for i in range(1, 1501):
                with warnings.catch_warnings(record=True) as seen:
                    warnings.simplefilter("always")
                    optimizer.step()
                told += [i for _ in seen]
        assert len(told) == 1
        assert 0.9 * 1425 < told[0] <= 1430

    def test_an_expected_end_is_taken_at_its_word(self, small_disk):
        model, optimizer = make()
        with Recorder(model, small_disk / "run").attach(optimizer, expected_steps=200):
            for _ in range(200):
                optimizer.step()
        with (
            pytest.warns(DiskWarning, match="and 5000 steps at this rate"),
            Recorder(model, small_disk / "run", every=10, overwrite=True).attach(optimizer, expected_steps=5000),
        ):
            pass

    def test_a_budget_has_no_pace(self, small_disk):
        train(small_disk / "run", 60, budget=BUDGET)
