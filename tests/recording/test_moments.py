"""Second moments beside a few iterates: the optimizer's own numbers, bounded, and never in the way."""

import contextlib
import copy
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch

from trajmap.data.store.second_moments import moments_path
from trajmap.data.trajectory import Trajectory
from trajmap.errors import RunFormatError
from trajmap.recording.recorder import Recorder
from trajmap.recording.selections import matching
from trajmap.recording.sketch import CountSketch


def make(kind=torch.optim.Adam, **options):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    return model, kind(model.parameters(), lr=1e-3, **options)


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.randn(8, 3)).square().mean().backward()
    optimizer.step()


def state(model, optimizer, key):
    return np.concatenate([optimizer.state[p][key].numpy().ravel() for p in model.parameters()])


def kept(folder):
    return sorted(int(path.stem) for path in (folder / "moments").glob("*"))


@pytest.mark.parametrize(
    ("kind", "options", "key"),
    [
        (torch.optim.Adam, {}, "exp_avg_sq"),
        (torch.optim.Adam, {"amsgrad": True}, "max_exp_avg_sq"),
        (torch.optim.AdamW, {"foreach": True}, "exp_avg_sq"),
        (torch.optim.NAdam, {}, "exp_avg_sq"),
        (torch.optim.RAdam, {}, "exp_avg_sq"),
        (torch.optim.Adamax, {}, "exp_inf"),
        (torch.optim.RMSprop, {}, "square_avg"),
        (torch.optim.Adagrad, {}, "sum"),
    ],
)
def test_they_are_the_optimizers_own(tmp_path, kind, options, key):
    model, optimizer = make(kind, **options)
    seen = {}
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for i in range(1, 31):
            step(model, optimizer)
            seen[i] = state(model, optimizer, key)
    run = Trajectory.open(tmp_path / "run")
    moments = run.second_moments
    assert list(moments) == [4, 8, 12, 16, 20, 24, 28, 30]
    for i, values in moments.items():
        np.testing.assert_array_equal(values, seen[i])
        assert (moments.counts(i) == i).all()
    part = run.select("2.*").take([8, 9, 30]).second_moments
    assert list(part) == [8, 30]
    np.testing.assert_array_equal(part[30], seen[30][-12:])
    run.save(tmp_path / "copy")
    copied = Trajectory.open(tmp_path / "copy").second_moments
    assert list(copied) == list(moments)
    np.testing.assert_array_equal(copied[16], seen[16])
    assert (copied.counts(16) == 16).all()


def test_centred_ones_are_variances(tmp_path):
    model, optimizer = make(torch.optim.RMSprop, centered=True)
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for _ in range(5):
            step(model, optimizer)
    expected = state(model, optimizer, "square_avg") - state(model, optimizer, "grad_avg") ** 2
    np.testing.assert_array_equal(Trajectory.open(tmp_path / "run").second_moments[5], expected)


def test_there_are_never_many(tmp_path):
    model, optimizer = make()
    most = 0
    with Recorder(model, tmp_path / "run").attach(optimizer, moments=5) as recorder:
        for _ in range(300):
            step(model, optimizer)
            recorder.flush()
            most = max(most, len(kept(tmp_path / "run")))
    assert most <= 5
    assert list(Trajectory.open(tmp_path / "run").second_moments) == [64, 128, 192, 256, 300]
    with Recorder(model, tmp_path / "last").attach(optimizer, moments=1):
        for _ in range(9):
            step(model, optimizer)
    assert list(Trajectory.open(tmp_path / "last").second_moments) == [9]


def test_where_there_are_none(tmp_path):
    def moments(name, kind=torch.optim.Adam, most=8, **options):
        model, optimizer = make(kind)
        with Recorder(model, tmp_path / name, **options).attach(optimizer, moments=most):
            for _ in range(3):
                step(model, optimizer)
        assert not (tmp_path / name / "moments").exists()
        return Trajectory.open(tmp_path / name).second_moments

    assert not moments("off", most=0)
    assert not moments("plain", torch.optim.SGD)
    assert not moments("factored", torch.optim.Adafactor)
    assert not moments("sketch", sketch=CountSketch(64))
    assert not Trajectory.of(np.zeros((2, 3))).second_moments


def test_selections_wide_numbers_and_unknown_classes(tmp_path):
    model, optimizer = make()
    model.double()
    with Recorder(model, tmp_path / "run", select=matching("0.*")).attach(optimizer):
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.randn(8, 3).double()).square().mean().backward()
            optimizer.step()
    run = Trajectory.open(tmp_path / "run")
    found = run.second_moments[2]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, state(model, optimizer, "exp_avg_sq")[:20])

    class Adam(torch.optim.Adam):
        """Another one of the same name."""

    model, _ = make()
    with Recorder(model, tmp_path / "mine").attach(Adam(model.parameters())):
        pass
    assert "module" not in run.settings["optimizer"]
    assert json.loads((tmp_path / "mine" / "run.json").read_text())["settings"]["optimizer"]["module"] == __name__


def test_a_budget_counts_them(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Linear(40, 40)
    optimizer = torch.optim.Adam(model.parameters())
    limit = 200_000  # some 28 iterates
    most = 0
    with Recorder(model, tmp_path / "run", budget=limit).attach(optimizer) as recorder:
        for i in range(150):
            optimizer.zero_grad()
            model(torch.randn(8, 40)).square().mean().backward()
            optimizer.step()
            if i % 7 == 0:
                recorder.flush()
            most = max(most, sum(p.stat().st_size for p in (tmp_path / "run").rglob("*") if p.is_file()))
    assert most <= limit
    run = Trajectory.open(tmp_path / "run")
    assert set(run.second_moments) <= set(run.steps)
    assert len(run.second_moments) >= 2
    assert run.steps[-1] in run.second_moments
    assert kept(tmp_path / "run") == sorted(
        row.file.place for row in (run.iterates.row(i) for i in range(run.n_iterates))
        if run.steps.tolist().index(row.file.notes.step) in np.flatnonzero(np.isin(run.steps, list(run.second_moments)))
    )  # fmt: skip
    few = torch.nn.Linear(40, 40)
    adam = torch.optim.Adam(few.parameters())
    with Recorder(few, tmp_path / "few", budget=45_000).attach(adam):
        for _ in range(9):
            few(torch.randn(8, 40)).square().mean().backward()
            adam.step()
    assert not Trajectory.open(tmp_path / "few").second_moments, "iterates come first"


def test_a_resumed_run_leaves_out_those_it_went_back_behind(tmp_path):
    model, optimizer = make()
    seen = {}
    with Recorder(model, tmp_path / "run").attach(optimizer, moments=6) as recorder:
        for i in range(1, 21):
            step(model, optimizer)
            if i == 10:
                back, at = copy.deepcopy((model.state_dict(), optimizer.state_dict())), recorder.state_dict()
    model.load_state_dict(back[0])
    optimizer.load_state_dict(back[1])
    recorder = Recorder(model, tmp_path / "run", resume=True)
    recorder.load_state_dict(at)
    with recorder.attach(optimizer, moments=6):
        for i in range(11, 31):
            step(model, optimizer)
            seen[i] = state(model, optimizer, "exp_avg_sq")
    run = Trajectory.open(tmp_path / "run")
    assert run.history.seams == (10,)
    moments = run.second_moments
    assert 30 in moments
    assert len(kept(tmp_path / "run")) <= 6
    assert len(moments) == len(kept(tmp_path / "run")) >= 3
    for i in moments:
        if i > 10:
            np.testing.assert_array_equal(moments[i], seen[i])
        assert (moments.counts(i) == i).all()


def test_a_run_that_is_overwritten_leaves_none_behind(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run").attach(optimizer):
        step(model, optimizer)
    assert kept(tmp_path / "run") == [1]
    with Recorder(model, tmp_path / "run", overwrite=True).attach(torch.optim.SGD(model.parameters(), lr=0.1)):
        pass
    assert not (tmp_path / "run" / "moments").exists()


def test_the_loop_is_left_as_it_is(tmp_path):
    ends = []
    for record in (False, True):
        model, optimizer = make()
        torch.manual_seed(3)
        context = Recorder(model, tmp_path / "run").attach(optimizer) if record else contextlib.nullcontext()
        with context:
            for _ in range(12):
                step(model, optimizer)
        ends.append((torch.cat([p.detach().ravel() for p in model.parameters()]), torch.rand(1)))
    assert torch.equal(ends[0][0], ends[1][0])
    assert torch.equal(ends[0][1], ends[1][1])


def test_a_disk_that_refuses_them_costs_no_iterate(tmp_path, monkeypatch):
    """The disk is the one thing faked: what lies in the folder of the moments cannot be flushed."""
    real, folder = os.fsync, str(tmp_path / "run" / "moments")

    def fsync(handle):
        if os.path.realpath(f"/proc/self/fd/{handle}").startswith(os.path.realpath(folder)):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    model, optimizer = make()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with Recorder(model, tmp_path / "run").attach(optimizer):
            for _ in range(12):
                step(model, optimizer)
    assert [str(w.message) for w in told if "second moments" in str(w.message)] == [
        f"{tmp_path / 'run'}: second moments of the optimizer could not be kept ([Errno 28] No space left on device); "
        "recording continues"
    ]
    run = Trajectory.open(tmp_path / "run")
    assert run.n_iterates == 13
    assert not run.second_moments
    assert kept(tmp_path / "run") == []


def test_a_strange_state_costs_no_iterate(tmp_path):
    class Odd(dict):
        """A state that works for its optimizer and fails for others."""

        def __contains__(self, key):
            raise ArithmeticError("no such question")

    model, optimizer = make()
    with (
        pytest.warns(RuntimeWarning, match=r"could not be kept \(no such question\); recording continues") as told,
        Recorder(model, tmp_path / "run").attach(optimizer),
    ):
        for i in range(6):
            step(model, optimizer)
            if i == 2:
                optimizer.state[model[0].weight] = Odd(optimizer.state[model[0].weight])
    assert len(told) == 1
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == list(range(7))
    assert list(run.second_moments) == [1, 2, 3]


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_files(tmp_path):
    code = """
        import os, signal, sys, torch, trajmap
        torch.manual_seed(0)
        model = torch.nn.Linear(50, 50)
        optimizer = torch.optim.Adam(model.parameters())
        recorder = trajmap.Recorder(model, sys.argv[1]).attach(optimizer, moments=64)
        for i in range(10_000):
            model(torch.randn(4, 50)).square().mean().backward()
            optimizer.step()
            if i == int(sys.argv[2]):
                print("on", flush=True)
    """
    for number, begin in enumerate((3, 10, 23)):
        folder = tmp_path / f"run-{number}"
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(folder), str(begin)], stdout=subprocess.PIPE
        )
        assert child.stdout.readline() == b"on\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        run = Trajectory.open(folder)
        moments = run.second_moments
        for step_ in moments:
            assert np.isfinite(moments[step_]).all()
            assert (moments.counts(step_) == step_).all()


def test_damage_and_confusion_are_found(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for _ in range(6):
            step(model, optimizer)
    path = moments_path(tmp_path / "run", 3)
    moments = Trajectory.open(tmp_path / "run").second_moments
    whole = path.read_bytes()
    other = moments_path(tmp_path / "run", 4).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) * 2 // 3] ^= 1
    for content in (whole[:-40], bytes(flipped), other, b""):
        path.write_bytes(content)
        with pytest.raises(RunFormatError):
            moments[3]
    path.write_bytes(whole)
    assert np.isfinite(moments[3]).all()
