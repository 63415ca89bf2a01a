"""Any loop: mixed precision, compilation, averaging, closures, several groups, branches."""

import copy

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.recording.branches import branch
from trajmap.recording.recorder import Recorder


def make(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def flat(model):
    return torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()]).numpy()


def test_steps_that_a_scaler_skips_are_not_iterates(tmp_path):
    """An overflow makes GradScaler leave the step out: nothing moved, nothing is recorded or counted."""
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    expected = [flat(model)]
    with Recorder(model, tmp_path / "run", norms=True).attach(optimizer) as recorder:
        for i in range(6):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = model(torch.ones(4, 3)).float().square().mean()
            scaler.scale(loss * (float("inf") if i == 2 else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
            recorder.record({"loss": loss.item()})
            if i != 2:
                expected.append(flat(model))
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == list(range(6))
    np.testing.assert_array_equal(run.iterates[:], expected)
    # the gradient is noted without the scale
    np.testing.assert_allclose(run.scalars["update_norm"][1:], 0.1 * run.scalars["grad_norm"][1:], rtol=1e-4)


def test_a_compiled_model_is_recorded_under_its_plain_names(tmp_path):
    model = make()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.Adam(compiled.parameters(), lr=0.1)
    with Recorder(compiled, tmp_path / "run").attach(optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            compiled(torch.ones(4, 3)).square().mean().backward()
            optimizer.step()
    run = Trajectory.open(tmp_path / "run")
    assert list(run.layout.names) == [name for name, _ in model.named_parameters()]
    np.testing.assert_array_equal(run.theta(-1), flat(model))


def test_an_average_of_weights_beside_its_model(tmp_path):
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    average = AveragedModel(model)
    with (
        Recorder(model, tmp_path / "run").attach(optimizer),
        Recorder(average, tmp_path / "average") as averages,
    ):
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.ones(4, 3)).square().mean().backward()
            optimizer.step()
            average.update_parameters(model)
            averages.record()
    run, mean = Trajectory.open(tmp_path / "run"), Trajectory.open(tmp_path / "average")
    run.layout.require(mean.layout, "average")
    np.testing.assert_allclose(mean.theta(-1), run.iterates[1:].mean(axis=0), rtol=1e-5)


def test_closures_are_one_step(tmp_path):
    model = make()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
    evaluations = []

    def closure():
        optimizer.zero_grad()
        loss = model(torch.ones(4, 3)).square().mean()
        loss.backward()
        evaluations.append(loss.item())
        return loss

    with Recorder(model, tmp_path / "run").attach(optimizer):
        for _ in range(3):
            optimizer.step(closure)
    assert len(evaluations) > 3
    assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 1, 2, 3]


def test_several_groups_accumulation_and_ties(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    model[1].weight = model[0].weight
    groups = [{"params": [model[0].weight], "lr": 0.2}, {"params": [model[0].bias, model[1].bias], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups)
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for i in range(8):
            model(torch.ones(2, 4)).square().mean().backward()
            if i % 2:
                optimizer.step()
                optimizer.zero_grad()
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3, 4]
    assert run.layout.names == ("0.weight", "0.bias", "1.bias"), "the tied weight is stored once"
    assert run.scalars["lr"][1] == 0.2


def test_branches_leave_the_run_as_it_was(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def steps(n, seed, recorder=None):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(n):
            optimizer.zero_grad()
            loss = model(torch.randn(8, 3, generator=generator)).square().mean()
            loss.backward()
            optimizer.step()
            if recorder is not None:
                recorder.record({"loss": loss.item()})

    with Recorder(model, tmp_path / "run").attach(optimizer) as recorder:
        steps(5, seed=0)
        before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        gradients = [p.grad.clone() for p in model.parameters()]
        rng = torch.random.get_rng_state()
        fan = branch(recorder, lambda k, own: steps(4, seed=10 + k, recorder=own), n_branches=3)
        for a, b in zip(before, (model.state_dict(), optimizer.state_dict()), strict=True):
            assert repr(a) == repr(b)
        for tensor, kept in zip(model.state_dict().values(), before[0].values(), strict=True):
            assert torch.equal(tensor, kept)
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            assert torch.equal(parameter.grad, gradient)
        assert torch.equal(torch.random.get_rng_state(), rng)
        steps(2, seed=1)
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == list(range(8)), "the branches' steps are not the run's"
    assert fan.names == ("0", "1", "2")
    assert fan.steps.reshape(3, 5).tolist() == [[5, 6, 7, 8, 9]] * 3
    starts = fan.iterates[:].reshape(3, 5, -1)
    for k in range(3):
        np.testing.assert_array_equal(starts[k, 0], run.theta(5))
    assert len({row.tobytes() for row in starts[:, -1]}) == 3
    # one branch again by itself: the same to the last bit, since random states were put back
    model.load_state_dict(before[0])
    optimizer.load_state_dict(before[1])
    torch.random.set_rng_state(rng)
    steps(4, seed=11)
    np.testing.assert_array_equal(flat(model), starts[1, -1])


def test_branching_needs_an_optimizer_and_room(tmp_path):
    model = make()
    with Recorder(model, tmp_path / "run") as recorder:
        with pytest.raises(InputError, match="recorder: expected an attached recorder"):
            branch(recorder, lambda k, own: None)
        recorder.attach(torch.optim.SGD(model.parameters(), lr=0.1))
        (tmp_path / "taken" / "0").mkdir(parents=True)
        (tmp_path / "taken" / "0" / "file").write_text("mine")
        with pytest.raises(InputError, match="path: expected a new folder"):
            branch(recorder, lambda k, own: None, path=tmp_path / "taken")


def test_a_failing_branch_still_comes_back(tmp_path):
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = flat(model)

    def fail(k, own):
        with torch.no_grad():
            model[0].weight += 1
        raise RuntimeError("no more batches")

    with Recorder(model, tmp_path / "run").attach(optimizer) as recorder:
        with pytest.raises(RuntimeError, match="no more batches"):
            branch(recorder, fail)
        np.testing.assert_array_equal(flat(model), before)
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_every_iterate_is_the_one_of_its_time(tmp_path):
    """The copy runs beside the next step; a staging area keeps it from seeing that step."""
    model = torch.nn.Sequential(torch.nn.Linear(500, 500), torch.nn.BatchNorm1d(500), torch.nn.Linear(500, 500)).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = [flat(model.cpu())]
    model.cuda()
    with Recorder(model, tmp_path / "run", norms=True).attach(optimizer):
        for _ in range(30):
            optimizer.zero_grad()
            model(torch.ones(64, 500, device="cuda") + torch.randn(64, 500, device="cuda")).square().mean().backward()
            optimizer.step()
            expected.append(torch.cat([p.detach().reshape(-1) for p in model.parameters()]).cpu().numpy())
    run = Trajectory.open(tmp_path / "run")
    np.testing.assert_array_equal(run.iterates[:], expected)
    assert run.buffers(7)["1.num_batches_tracked"] == 7
