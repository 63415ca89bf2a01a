"""A run that stops and goes on: one folder, one record, and the seam is told."""

import copy

import numpy as np
import pytest
import torch

from trajmap.data.store.store import iterate_path
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError
from trajmap.recording.recorder import Recorder


class Training:
    """A deterministic training that can be saved and restored; batch i depends on i alone."""

    def __init__(self, width=4):
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(3, width), torch.nn.BatchNorm1d(width), torch.nn.Linear(width, 1)
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.done = 0

    def steps(self, n, recorder=None):
        for _ in range(n):
            x = torch.randn(8, 3, generator=torch.Generator().manual_seed(self.done))
            self.optimizer.zero_grad()
            loss = self.model(x).square().mean()
            loss.backward()
            self.optimizer.step()
            self.done += 1
            if recorder is not None:
                recorder.record({"loss": loss.item()})

    def save(self):
        return copy.deepcopy((self.model.state_dict(), self.optimizer.state_dict(), self.done))

    def load(self, state):
        model, optimizer, self.done = copy.deepcopy(state)
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)


@pytest.fixture
def straight(tmp_path):
    """The run that never stopped."""
    training = Training()
    with Recorder(training.model, tmp_path / "straight").attach(training.optimizer) as recorder:
        training.steps(12, recorder)
    return Trajectory.open(tmp_path / "straight")


def same(run, other):
    np.testing.assert_array_equal(run.steps, other.steps)
    np.testing.assert_array_equal(run.iterates[:], other.iterates[:])
    for name in other.scalars:
        np.testing.assert_array_equal(run.scalars[name], other.scalars[name])


def begin(folder, *, stop, checkpoint, **options):
    """Train, keep a checkpoint on the way, and stop without closing properly."""
    training = Training()
    recorder = Recorder(training.model, folder, **options).attach(training.optimizer)
    training.steps(checkpoint, recorder)
    kept = (*training.save(), recorder.state_dict())
    training.steps(stop - checkpoint, recorder)
    recorder.close()
    return kept


def test_resumed_from_the_last_iterate(tmp_path, straight):
    *state, _ = begin(tmp_path / "run", stop=5, checkpoint=5)
    training = Training()
    training.load(state)
    with Recorder(training.model, tmp_path / "run", resume=True).attach(training.optimizer) as recorder:
        training.steps(7, recorder)
    run = Trajectory.open(tmp_path / "run")
    same(run, straight)
    assert run.history.seams == (5,)
    assert run.history.superseded == 0
    assert run.history.dropped == ()


@pytest.mark.parametrize("how", ["matched", "named", "state"])
def test_resumed_from_an_older_checkpoint(tmp_path, straight, how):
    """The iterates after it are superseded, whichever way the step is found."""
    *state, kept = begin(tmp_path / "run", stop=9, checkpoint=4)
    training = Training()
    training.load(state)
    recorder = Recorder(training.model, tmp_path / "run", resume=True)
    if how == "state":
        recorder.load_state_dict(kept)
    with recorder.attach(training.optimizer, step=4 if how == "named" else None):
        training.steps(8, recorder)
    run = Trajectory.open(tmp_path / "run")
    same(run, straight)
    assert (run.history.seams, run.history.superseded) == ((4,), 5)


def test_resumed_twice_from_one_checkpoint_and_a_lost_seam(tmp_path, straight):
    """A crash loop: three sessions from step 4; the loss of a session's first iterate does not hide its seam."""
    *state, _ = begin(tmp_path / "run", stop=9, checkpoint=4)
    for stop in (7, 12):
        training = Training()
        training.load(state)
        with Recorder(training.model, tmp_path / "run", resume=True).attach(training.optimizer) as recorder:
            training.steps(stop - 4, recorder)
    run = Trajectory.open(tmp_path / "run")
    same(run, straight)
    assert (run.history.seams, run.history.superseded) == ((4,), 8)
    first = next(row for row in map(run.iterates.row, range(12)) if row.file.notes.step == 5)
    first.file.path.unlink()
    with pytest.warns(RuntimeWarning, match="dropped 1 damaged"):
        damaged = Trajectory.open(tmp_path / "run")
    assert damaged.steps.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    np.testing.assert_array_equal(damaged.iterates[:], np.delete(straight.iterates[:], 5, axis=0))


def test_resumed_between_recorded_steps(tmp_path):
    """With every=4 a checkpoint at step 6 equals no iterate: its step must be named, and is recorded at the seam."""
    *state, kept = begin(tmp_path / "run", stop=10, checkpoint=6, every=4)
    training = Training()
    training.load(state)
    recorder = Recorder(training.model, tmp_path / "run", every=4, resume=True)
    with pytest.raises(
        InputError, match=r"step: expected that of the restored model.*repair: pass attach\(optimizer, step"
    ):
        recorder.attach(training.optimizer)
    recorder = Recorder(training.model, tmp_path / "run", every=4, resume=True)
    recorder.load_state_dict(kept)
    with recorder.attach(training.optimizer):
        training.steps(6, recorder)
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 4, 6, 8, 12]
    assert (run.history.seams, run.history.superseded) == ((6,), 2)
    with pytest.raises(InputError, match="before attach"):
        recorder.load_state_dict(kept)


def test_resumed_by_hand(tmp_path):
    model = torch.nn.Linear(2, 1)
    for steps in ([None] * 3, [None] * 2, [3, None]):
        with Recorder(model, tmp_path / "run", resume=True) as recorder:
            for step in steps:
                recorder.record({"value": 1.0}, step=step)
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3, 4]
    assert run.history.seams == (2,)
    assert run.history.superseded == 2


def test_resuming_where_there_is_nothing_begins(tmp_path, straight):
    training = Training()
    with Recorder(training.model, tmp_path / "run", resume=True).attach(training.optimizer) as recorder:
        training.steps(12, recorder)
    same(Trajectory.open(tmp_path / "run"), straight)


def test_another_model_is_refused_before_anything_is_written(tmp_path):
    begin(tmp_path / "run", stop=3, checkpoint=3)
    before = sorted(p.name for p in (tmp_path / "run" / "iterates").iterdir())
    with pytest.raises(LayoutError, match=r"0.weight of shape \(5, 3\), got \(4, 3\)"):
        Recorder(Training(width=5).model, tmp_path / "run", resume=True)
    with pytest.raises(LayoutError, match="expected dtype float64, got float32"):
        Recorder(Training().model.double(), tmp_path / "run", resume=True)
    with pytest.raises(LayoutError, match="expected buffers"):
        Recorder(Training().model, tmp_path / "run", resume=True, buffers=False)
    with pytest.raises(InputError, match="either overwrite or resume"):
        Recorder(Training().model, tmp_path / "run", resume=True, overwrite=True)
    assert sorted(p.name for p in (tmp_path / "run" / "iterates").iterdir()) == before


def test_what_a_kill_left_behind_is_cleared(tmp_path, straight):
    *state, _ = begin(tmp_path / "run", stop=5, checkpoint=5)
    half = iterate_path(tmp_path / "run", 6).with_name("000000000006.safetensors.part")
    half.write_bytes(b"half")
    training = Training()
    training.load(state)
    with Recorder(training.model, tmp_path / "run", resume=True).attach(training.optimizer) as recorder:
        training.steps(7, recorder)
    assert not half.exists()
    same(Trajectory.open(tmp_path / "run"), straight)
    # killed before the header was there: nothing to resume, nothing in the way
    (tmp_path / "blank" / "iterates").mkdir(parents=True)
    (tmp_path / "blank" / "run.json.part").write_bytes(b"{")
    with Recorder(Training().model, tmp_path / "blank") as recorder:
        recorder.record()


def test_reading_while_the_run_is_written(tmp_path):
    """A reader sees every iterate that is on the disk, at any moment, and what it has read stays true."""
    training = Training()
    with Recorder(training.model, tmp_path / "run").attach(training.optimizer) as recorder:
        training.steps(3, recorder)
        seen = 0
        for _ in range(10):
            training.steps(1, recorder)
            recorder._buffer._writer.flush()
            run = Trajectory.open(tmp_path / "run", verify=True)
            assert run.n_iterates > seen
            seen = run.n_iterates
            early = run.iterates[:]
    np.testing.assert_array_equal(Trajectory.open(tmp_path / "run").iterates[:seen], early)
