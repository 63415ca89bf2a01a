"""Schedules record the steps they promise, inside a real loop."""

import numpy as np
import pytest
import torch

from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.recording.recorder import Recorder
from trajmap.recording.schedules import at_steps, by_change, every, log_spaced


def run(folder, schedule, steps=30):
    """Gradient descent on ½|θ|² from (1, 1): θ_t = 0.9^t."""
    model = torch.nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, folder, schedule=schedule).attach(optimizer):
        for _ in range(steps):
            optimizer.zero_grad()
            (model.weight.square().sum() / 2).backward()
            optimizer.step()
    return Trajectory.open(folder)


def test_listed_steps(tmp_path):
    assert run(tmp_path / "a", at_steps([3, 4, 17])).steps.tolist() == [0, 3, 4, 17, 30]


def test_every_is_a_schedule(tmp_path):
    assert run(tmp_path / "a", every(8)).steps.tolist() == [0, 8, 16, 24, 30]


def test_log_spacing(tmp_path):
    steps = run(tmp_path / "a", log_spaced(5), steps=400).steps
    assert steps[:3].tolist() == [0, 1, 2]
    late = steps[(steps > 20) & (steps < 399)]
    # even in the logarithm: five a decade
    np.testing.assert_allclose(np.diff(np.log10(late)), 0.2, atol=0.02)


def test_by_change(tmp_path):
    found = run(tmp_path / "a", by_change(0.5))
    # |θ_s − θ_t|/|θ_s| = 1 − 0.9^(t−s) first exceeds ½ at t − s = 7
    assert found.steps.tolist() == [0, 7, 14, 21, 28, 30]


def test_a_run_that_diverges_is_seen(tmp_path):
    assert by_change(0.1)(1, lambda: float("nan"))


def test_a_function_of_the_users(tmp_path):
    seen = []

    def odd(step, moved):
        seen.append(moved())
        return step % 2 == 1

    assert run(tmp_path / "a", odd, steps=6).steps.tolist() == [0, 1, 3, 5, 6]
    np.testing.assert_allclose(seen[:3], [0.1, 0.1, 0.19])


def test_worded_errors(tmp_path):
    model = torch.nn.Linear(2, 1)
    with pytest.raises(InputError, match="schedule: expected either every or a schedule"):
        Recorder(model, tmp_path / "a", every=2, schedule=every(3))
    with pytest.raises(InputError, match="relative: expected a finite number > 0"):
        by_change(0)
    with pytest.raises(InputError, match="steps: expected an integer ≥ 1"):
        at_steps([0])
    with pytest.raises(InputError, match="on_full: expected one of 'wait', 'skip'"):
        Recorder(model, tmp_path / "a", on_full="drop")
