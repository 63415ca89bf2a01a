"""Nothing that happens to disk, process or model stops a training, and what is lost is said."""

import contextlib
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import warnings

import numpy as np
import pytest
import torch

from trajmap.data import owner as owning
from trajmap.data.atomic import sync_folder
from trajmap.data.store.store import Notes, RunHeader, iterate_path, write_iterate
from trajmap.data.trajectory import Trajectory
from trajmap.errors import FolderTakenError, InputError, RecordingWarning
from trajmap.recording import writer as writing
from trajmap.recording.recorder import Recorder


def make():
    model = torch.nn.Linear(3, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def step(model, optimizer):
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def by_hand(folder, many, **options):
    model, _ = make()
    with Recorder(model, folder, **options) as recorder:
        for _ in range(many):
            recorder.record()


def child(code):
    """Run code in an interpreter of its own, within a minute."""
    head = "import os, signal, sys, torch, trajmap\n"
    command = [sys.executable, "-c", head + textwrap.dedent(code)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def forked(work):
    """Run a function in a copy of this process, within half a minute; its exit status, 0 unless it raised."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(30)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextlib.contextmanager
def told(*words):
    """Require that among the warnings each of some words is said once."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
    for word in words:
        assert sum(word in str(warning.message) for warning in found) == 1, [str(w.message) for w in found]


@pytest.fixture
def refusing(monkeypatch):
    """Make the next flushes of files fail; the disk is the one thing faked here."""
    real, left = os.fsync, []

    def fsync(handle):
        if left:
            raise OSError(left.pop(), "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return left


@pytest.mark.parametrize("dtype", ["native", "delta16"])
def test_one_error_of_the_disk_is_tried_again(tmp_path, refusing, dtype):
    model, optimizer = make()
    recorder = Recorder(model, tmp_path / "run", dtype=dtype).attach(optimizer)
    for _ in range(3):
        step(model, optimizer)
    recorder.flush()
    refusing += [errno.EIO, errno.EIO]
    for _ in range(3):
        step(model, optimizer)
    recorder.close()
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == list(range(7))
    assert run.history.dropped == ()


@pytest.mark.parametrize("dtype", ["native", "delta16"])
def test_an_iterate_that_the_disk_refuses_is_left_out_and_counted(tmp_path, refusing, dtype):
    model, optimizer = make()
    recorder = Recorder(model, tmp_path / "run", dtype=dtype).attach(optimizer)
    thetas = []
    for k in range(6):
        step(model, optimizer)
        thetas.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy().copy())
        refusing += [errno.EIO] * 4 if k == 2 else []
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            recorder.flush()
        assert (k == 2) == any("could not be written" in str(w.message) for w in told)
    recorder.close()
    with pytest.warns(RuntimeWarning, match="dropped 1 damaged .*: 000000000003: missing"):
        run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 4, 5, 6]
    assert run.scalars["skipped"].tolist()[3:] == pytest.approx([1.0, np.nan, np.nan], nan_ok=True)
    np.testing.assert_allclose(run.iterates[1:], np.delete(thetas, 2, axis=0), atol=1e-4)


def test_a_dead_disk_ends_the_recording_and_the_training_goes_on(tmp_path, refusing):
    model, optimizer = make()
    recorder = Recorder(model, tmp_path / "run").attach(optimizer)
    step(model, optimizer)
    recorder.flush()
    refusing += [errno.EIO] * 1000
    with told("could not be written", "recording stopped after 2 iterates"):
        for _ in range(12):
            step(model, optimizer)
        recorder.close()
    refusing.clear()
    assert Trajectory.open(tmp_path / "run").n_iterates == 2


def test_a_folder_that_cannot_be_flushed_is_the_systems_affair(tmp_path, monkeypatch):
    def refuse(handle):
        raise OSError(refuse.number, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    for refuse.number in (errno.EINVAL, errno.EACCES, errno.ENOTSUP):
        sync_folder(tmp_path)
    refuse.number = errno.EIO
    with pytest.raises(OSError, match="refused"):
        sync_folder(tmp_path)


def test_an_error_in_the_copy_never_blocks_the_loop(tmp_path):
    """More steps than there are slots, each with a copy that fails."""

    def train():
        model, optimizer = make()
        recorder = Recorder(model, tmp_path / "run").attach(optimizer)
        step(model, optimizer)
        step(model, optimizer)
        model.weight.data = torch.zeros(5, 3)
        model.weight.grad = None
        with told("recording stopped after"):
            for _ in range(9):
                optimizer.step()
            recorder.close()

    assert forked(train) == 0
    assert Trajectory.open(tmp_path / "run").n_iterates == 3


def test_a_schedule_that_fails_does_not_stop_the_training(tmp_path):
    model, optimizer = make()

    def schedule(number, moved):
        return 1 / (3 - number) > 0

    with (
        pytest.warns(RuntimeWarning, match=r"recording stopped after \d iterates \(division by zero\)"),
        Recorder(model, tmp_path / "run", schedule=schedule).attach(optimizer),
    ):
        for _ in range(6):
            step(model, optimizer)
    assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 1, 2]


def test_a_forked_copy_goes_on_unrecorded(tmp_path):
    model, optimizer = make()
    recorder = Recorder(model, tmp_path / "run").attach(optimizer)
    for _ in range(3):
        step(model, optimizer)

    def continue_training():
        with told("are not recorded"):
            for _ in range(9):
                step(model, optimizer)
            recorder.record({"loss": 1.0})
            recorder.hold()
            assert recorder.flush() >= 0
            recorder.close()

    assert forked(continue_training) == 0
    for _ in range(9):
        step(model, optimizer)
    recorder.close()
    assert Trajectory.open(tmp_path / "run", verify=True).steps.tolist() == list(range(13))


def test_a_run_that_is_deleted_meanwhile(tmp_path):
    model, optimizer = make()
    recorder = Recorder(model, tmp_path / "run").attach(optimizer)
    step(model, optimizer)
    recorder.flush()
    shutil.rmtree(tmp_path / "run")
    with pytest.warns(RuntimeWarning, match="recording stopped after 2 iterates .*No such file"):
        for _ in range(9):
            step(model, optimizer)
        recorder.close()


def test_no_more_open_files_for_a_while(tmp_path):
    def record():
        recorder = Recorder(make()[0], tmp_path / "run")
        recorder.record()
        recorder.record()
        recorder.flush()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        with told("Too many open files"):
            recorder.record()
            recorder.flush()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        recorder.record()
        recorder.close()

    assert forked(record) == 0
    with pytest.warns(RuntimeWarning, match="000000000002: missing"):
        assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 1, 3]


@pytest.mark.filterwarnings("ignore::trajmap.errors.DiskWarning")
def test_a_read_only_disk_is_refused_at_attach_and_read_without_a_word(tmp_path, small_disk):
    disk = small_disk(200)
    by_hand(disk / "run", 3)
    small_disk(200, again=disk, options=",ro")
    assert Trajectory.open(disk / "run").n_iterates == 3
    model, optimizer = make()
    with pytest.raises(InputError, match="new: expected a folder that can be written, got .*Read-only"):
        Recorder(model, disk / "new").attach(optimizer)
    with pytest.raises(InputError, match="run: expected a folder that can be written, got .*Read-only"):
        Recorder(model, disk / "run", resume=True).attach(optimizer, step=2)


class TestOneWriter:
    def test_a_second_process_is_refused_in_words(self, tmp_path):
        model, _ = make()
        with Recorder(model, tmp_path / "run") as recorder:
            recorder.record()
            recorder.record()
            recorder.flush()
            pid = os.getpid()

            def second(option):
                with pytest.raises(FolderTakenError, match=f"without another writer, got one that process {pid} on"):
                    Recorder(model, tmp_path / "run", **{option: True}).record()

            for option in ("resume", "overwrite"):
                assert forked(lambda option=option: second(option)) == 0
            assert Trajectory.open(tmp_path / "run").history.unclosed.startswith(f"being written by process {pid} on ")
            recorder.record()
        run = Trajectory.open(tmp_path / "run")
        assert (run.n_iterates, run.history.unclosed) == (3, "")
        assert not (tmp_path / "run" / "writer.json").exists()

    @pytest.mark.parametrize(("changed", "silent", "lives"), [
        ({}, 0, True),
        ({"born": "1"}, 0, False),  # another process has the number by now
        ({"pid": 2**22 + 1}, 0, False),
        ({"host": "elsewhere"}, 60, True),
        ({"host": "elsewhere"}, 3600, False),
        ({"space": "another container"}, 60, True),
        ({"space": "another container"}, -3600, False),  # the clock went back by an hour
    ])  # fmt: skip
    def test_who_is_gone(self, tmp_path, changed, silent, lives):
        by_hand(tmp_path / "run", 2)
        words = {**owning.dataclasses.asdict(owning.Owner.present()), **changed}
        lock = tmp_path / "run" / "writer.json"
        lock.write_text(json.dumps(words))
        os.utime(lock, (time.time() - silent,) * 2)
        if lives:
            with pytest.raises(FolderTakenError, match=r"if it is gone, remove .*writer\.json"):
                by_hand(tmp_path / "run", 2, resume=True)
        else:
            by_hand(tmp_path / "run", 2, resume=True)
            assert Trajectory.open(tmp_path / "run").n_iterates == 4

    def test_of_many_who_come_at_once_one_writes(self, tmp_path):
        """A dead writer's file is there, and eight processes want the run."""
        by_hand(tmp_path / "run", 2)
        words = {**owning.dataclasses.asdict(owning.Owner.present()), "born": "1"}
        (tmp_path / "run" / "writer.json").write_text(json.dumps(words))
        pids = []
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                try:
                    owning.Ownership(tmp_path / "run")
                    time.sleep(1.5)
                    os._exit(0)
                except FolderTakenError:
                    os._exit(7)
                finally:
                    os._exit(1)
            pids.append(pid)
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)
        assert codes == [0] + [7] * 7

    def test_a_recorder_that_a_notebook_forgot_gives_way(self, tmp_path):
        model, optimizer = make()
        forgotten = Recorder(model, tmp_path / "run").attach(optimizer)
        step(model, optimizer)
        other, its = make()
        with Recorder(other, tmp_path / "run", overwrite=True).attach(its):
            step(other, its)
            with pytest.warns(RuntimeWarning, match="recording stopped .*another one that continues the run"):
                for _ in range(6):
                    step(model, optimizer)
            step(other, its)
        forgotten.close()
        assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 1, 2]

    def test_a_run_that_was_taken_over_is_left(self, tmp_path):
        model, _ = make()
        recorder = Recorder(model, tmp_path / "run")
        recorder.record()
        recorder.record()
        recorder.flush()
        words = {**owning.dataclasses.asdict(owning.Owner.present()), "token": "another"}
        (tmp_path / "run" / "writer.json").write_text(json.dumps(words))
        with pytest.warns(RuntimeWarning, match="recording stopped after 2 iterates .*another process has taken over"):
            recorder.record()
            recorder.close()
        assert json.loads((tmp_path / "run" / "writer.json").read_text())["token"] == "another"


class TestTheEnd:
    CODE = """
        model = torch.nn.Linear(3, 2); optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        recorder = trajmap.Recorder(model, {path!r}).attach(optimizer)
        for _ in range(9): optimizer.step()
        {end}
    """

    @pytest.mark.parametrize("end", ["del recorder", "raise KeyError('x')"])
    def test_at_the_end_of_the_interpreter_all_is_written(self, tmp_path, end):
        child(self.CODE.format(path=str(tmp_path / "run"), end=end))
        run = Trajectory.open(tmp_path / "run")
        assert run.steps.tolist() == list(range(10))
        assert not run.history.unclosed

    def killed(self, folder, number, *, flush):
        def train():
            model, optimizer = make()
            recorder = Recorder(model, folder).attach(optimizer)
            for _ in range(9):
                step(model, optimizer)
            recorder.record({"loss": 2.0})
            if flush:
                assert (recorder.flush(), recorder.n_durable) == (10, 10)
            os.kill(os.getpid(), number)

        assert forked(train) == -number

    def test_a_kill_without_a_word_is_said(self, tmp_path):
        self.killed(tmp_path / "run", signal.SIGTERM, flush=False)
        unclosed = Trajectory.open(tmp_path / "run").history.unclosed
        assert unclosed.startswith("not closed by process ")
        assert unclosed.endswith("the last iterates may be missing")

    def test_what_is_flushed_is_there(self, tmp_path):
        self.killed(tmp_path / "run", signal.SIGKILL, flush=True)
        run = Trajectory.open(tmp_path / "run")
        assert run.steps.tolist() == list(range(10))
        assert run.scalars["loss"][-1] == 2.0


def test_scalars_after_a_flush_come_too_late(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run").attach(optimizer) as recorder:
        step(model, optimizer)
        assert recorder.flush() == 2
        with pytest.warns(RecordingWarning, match="step 1 was flushed before its scalars loss came"):
            recorder.record({"loss": 1.0})
        step(model, optimizer)
        recorder.record({"loss": 2.0})
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2]
    assert run.scalars["loss"].tolist() == pytest.approx([np.nan, np.nan, 2.0], nan_ok=True)
    with pytest.raises(InputError, match="a closed one"):
        recorder.flush()


@pytest.mark.parametrize("options", [{}, {"dtype": "delta16"}, {"budget": "1MB"}])
def test_killed_between_the_header_and_the_first_iterate(tmp_path, options):
    by_hand(tmp_path / "run", 1, **options)
    for file in (tmp_path / "run" / "iterates").iterdir():
        file.unlink()
    model, optimizer = make()
    with Recorder(model, tmp_path / "run", resume=True, **options).attach(optimizer):
        step(model, optimizer)
    run = Trajectory.open(tmp_path / "run")
    assert (run.steps.tolist(), run.history.seams) == ([0, 1], ())


def test_only_what_trajmap_wrote_is_replaced(tmp_path):
    by_hand(tmp_path / "run", 3)
    mine = ["notes.txt", "checkpoints/best.pt", "iterates/mine.txt", "artefacts/notes.md", "full/mine"]
    ours = [
        "report.html",
        "artefacts/scores.npz",
        "artefacts/hessian/4.npz",
        "artefacts/figures/path.png",
        "verified.npz",
    ]
    for name in mine + ours:
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text("mine")
    by_hand(tmp_path / "run", 2, overwrite=True)
    assert [(tmp_path / "run" / name).exists() for name in mine] == [True] * len(mine)
    assert [(tmp_path / "run" / name).exists() for name in ours] == [False] * len(ours)
    assert Trajectory.open(tmp_path / "run").n_iterates == 2


def circle():
    found = {}
    found["x"] = found
    return found


class TestSettings:
    @pytest.mark.parametrize(("given", "read"), [
        ({"lr": {0: 0.1, 10: 0.01, 9: 0.05}}, {"lr": {"0": 0.1, "10": 0.01, "9": 0.05}}),
        ({"a": (1, (2, None)), "b": True}, {"a": [1, [2, None]], "b": True}),
        ({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)}, {"a": 0.5, "b": 3, "c": True}),
        ({np.int64(4): {True: 1, None: 2, 1.5: 3}}, {"4": {"true": 1, "null": 2, "1.5": 3}}),
        ({"é\udc80": "λ\u2028"}, {"é\udc80": "λ\u2028"}),
    ])  # fmt: skip
    def test_what_is_accepted_is_read(self, tmp_path, given, read):
        by_hand(tmp_path / "run", 2, settings=given)
        found = Trajectory.open(tmp_path / "run").settings
        assert {name: found[name] for name in read} == read

    @pytest.mark.parametrize("given", [
        {"a": {1, 2}}, {"a": np.ones(2)}, {"a": torch.ones(1)}, {"a": object()}, {"a": b"x"}, {"a": 1j}, circle(),
        {"a": {(1, 2): 3}}, {"a": {1: 0, "1": 0}}, {"a": 10**5000}, [1], "words",
    ], ids=lambda value: type(value).__name__)  # fmt: skip
    def test_the_rest_is_refused(self, tmp_path, given):
        with pytest.raises(InputError, match="^settings: expected"):
            Recorder(torch.nn.Linear(3, 2), tmp_path / "run", settings=given)
        assert not (tmp_path / "run").exists()


class TestWhatAModelHolds:
    def test_large_differences_are_stored_whole(self, tmp_path):
        """3e38 less −3e38 is no float32."""
        model = torch.nn.Linear(2, 1, bias=False)
        ends = []
        with Recorder(model, tmp_path / "run", dtype="delta16") as recorder:
            for k in range(6):
                with torch.no_grad():
                    model.weight.fill_(3e38 * (-1) ** k)
                ends.append(model.weight.detach().numpy().ravel().copy())
                recorder.record()
        np.testing.assert_array_equal(Trajectory.open(tmp_path / "run").iterates[:], ends)

    @pytest.mark.parametrize("name", ["delta", "scales"])
    def test_buffers_called_as_differences_are(self, tmp_path, name):
        model = torch.nn.Linear(2, 1)
        model.register_buffer(name, torch.ones(3))
        with pytest.raises(InputError, match=f"for delta16, got one called {name}; repair: rename it"):
            Recorder(model, tmp_path / "run", dtype="delta16")
        with Recorder(model, tmp_path / "run") as recorder:
            recorder.record()
            recorder.record()
        assert Trajectory.open(tmp_path / "run").buffers(1)[name].tolist() == [1, 1, 1]

    def test_what_no_file_can_hold(self, tmp_path):
        model = torch.nn.Linear(2, 1)
        model.register_parameter("__metadata__", torch.nn.Parameter(torch.ones(2)))
        with pytest.raises(InputError, match="__metadata__: expected another name"):
            Recorder(model, tmp_path / "run")
        model = torch.nn.Linear(2, 1)
        model.register_buffer("s", torch.eye(2).to_sparse())
        with pytest.raises(InputError, match=r"s: expected a dense tensor, got one of layout torch\.sparse_coo"):
            Recorder(model, tmp_path / "run")
        model.register_buffer("s", torch.ones(2, device="meta"))
        with pytest.raises(InputError, match="s: expected a tensor with values, got one on the meta device"):
            Recorder(model, tmp_path / "run")
        with pytest.raises(InputError, match="the meta device"):
            Recorder(torch.nn.Linear(2, 1, device="meta"), tmp_path / "run")


def test_a_run_of_an_earlier_release_goes_on_as_it_was(tmp_path):
    """Without an identity in its header and its iterates."""
    model, _ = make()
    layout = Recorder(model, tmp_path / "other").layout
    header = RunHeader(layout, "float32", {})
    header.write(tmp_path / "run")
    for i in range(3):
        write_iterate(iterate_path(tmp_path / "run", i), header, np.full(8, i, np.float32), Notes(i, {}))
    assert b"place" not in iterate_path(tmp_path / "run", 0).read_bytes()
    by_hand(tmp_path / "run", 2, resume=True)
    run = Trajectory.open(tmp_path / "run")
    assert (run.n_iterates, run.history.dropped) == (5, ())


def test_a_disk_on_which_nothing_moves_is_not_waited_for_twice(tmp_path, monkeypatch):
    """The two minutes are shortened here; the disk answers after the training is over."""
    monkeypatch.setattr(writing, "_PATIENCE", 0.5)
    answers, real = threading.Event(), os.fsync
    model, optimizer = make()
    recorder = Recorder(model, tmp_path / "run").attach(optimizer)
    step(model, optimizer)
    recorder.flush()

    def blocked(handle):
        answers.wait(20)
        real(handle)

    monkeypatch.setattr(os, "fsync", blocked)
    with told("recording stopped after 2 iterates (the disk has not responded for"):
        for _ in range(50):
            step(model, optimizer)
        assert recorder.flush() == 2
        recorder.close()
    answers.set()
    assert Trajectory.open(tmp_path / "run").steps.tolist()[:2] == [0, 1]
