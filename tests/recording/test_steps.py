"""What a step is: wrapped optimizers, skipped steps, several optimizers, weights that others put in."""

import copy
import json

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, RecordingWarning
from trajmap.recording.recorder import Recorder
from trajmap.recording.selections import matching

X = torch.linspace(-1, 1, 24).reshape(8, 3)


def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


def flat(model):
    return torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()]).numpy()


def gradients(model, optimizer):
    optimizer.zero_grad()
    loss = (model(X) - 1).square().mean()
    loss.backward()
    return loss


class Slow:
    """Every third step half the way back to where the last third step ended; no class of torch's."""

    def __init__(self, inner):
        self.optimizer, self.count = inner, 0
        self.kept = [p.detach().clone() for p in self.parameters()]

    def parameters(self):
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def zero_grad(self):
        self.optimizer.zero_grad()

    def step(self, closure=None):
        self.optimizer.step(closure)
        self.count += 1
        if self.count % 3 == 0:
            with torch.no_grad():
                for p, kept in zip(self.parameters(), self.kept, strict=True):
                    kept.lerp_(p, 0.5)
                    p.copy_(kept)


class HookedSlow(Slow, torch.optim.Optimizer):
    def __init__(self, inner):
        torch.optim.Optimizer.__init__(self, inner.param_groups, {})
        Slow.__init__(self, inner)


class HooklessSlow(Slow, torch.optim.Optimizer):
    """As published wrappers do, it never calls torch's own __init__."""

    def __init__(self, inner):
        self.param_groups, self.state, self.defaults = inner.param_groups, inner.state, inner.defaults
        Slow.__init__(self, inner)


@pytest.mark.parametrize("kind", [Slow, HookedSlow, HooklessSlow])
def test_the_whole_step_of_a_wrapper_makes_an_iterate(tmp_path, kind):
    model = make()
    optimizer = kind(torch.optim.SGD(model.parameters(), lr=0.1))
    expected = [flat(model)]
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for _ in range(7):
            gradients(model, optimizer)
            optimizer.step()
            expected.append(flat(model))
    optimizer.step()
    run = Trajectory.open(tmp_path / "run")
    np.testing.assert_array_equal(run.iterates[:], expected)
    assert (run.settings["optimizer"]["class"], run.settings["optimizer"]["around"]) == (kind.__name__, ["SGD"])
    assert run.scalars["lr"][1] == 0.1
    assert "step" not in vars(optimizer), "no trace is left"
    assert not optimizer.optimizer._optimizer_step_post_hooks


def test_attached_to_the_inner_optimizer_it_says_what_is_missing(tmp_path):
    model = make()
    optimizer = HookedSlow(torch.optim.SGD(model.parameters(), lr=0.1))
    with (
        pytest.warns(RecordingWarning, match="after step 3 something other than the optimizer changed the weights"),
        Recorder(model, tmp_path / "run").attach(optimizer.optimizer),
    ):
        for _ in range(7):
            gradients(model, optimizer)
            optimizer.step()


class SAM(torch.optim.Optimizer):
    """Foret et al. 2020, in the two-call form and as one step with a closure."""

    def __init__(self, parameters, base, rho=0.05, **options):
        super().__init__(parameters, {"rho": rho, **options})
        self.base_optimizer = base(self.param_groups, **options)

    @torch.no_grad()
    def first_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["old"] = p.clone()
                p.add_(group["rho"] * p.grad / p.grad.norm())

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.copy_(self.state[p]["old"])
        self.base_optimizer.step()

    def step(self, closure=None):
        self.first_step()
        with torch.enable_grad():
            closure()
        self.second_step()


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("calls", [1, 2])
def test_sharpness_aware_steps(tmp_path, base, calls):
    model = make()
    optimizer = SAM(model.parameters(), torch.optim.SGD, lr=0.1)
    expected = [flat(model)]
    with Recorder(model, tmp_path / "run").attach(optimizer.base_optimizer if base else optimizer):
        for _ in range(4):
            gradients(model, optimizer)
            if calls == 2:
                optimizer.first_step()
                gradients(model, optimizer)
                optimizer.second_step()
            else:
                optimizer.step(lambda: gradients(model, optimizer))
            expected.append(flat(model))
    np.testing.assert_array_equal(Trajectory.open(tmp_path / "run").iterates[:], expected)


def test_a_subclass_that_calls_its_parents_step_makes_one_step(tmp_path):
    """torch calls the hooks at both levels once any plain optimizer of the parent class was made."""
    torch.optim.Adam(make().parameters())

    class Clipped(torch.optim.Adam):
        @torch.no_grad()
        def step(self, closure=None):
            super().step(closure)
            for p in self.param_groups[0]["params"]:
                p.clamp_(-0.3, 0.3)

    model = make()
    optimizer = Clipped(model.parameters(), lr=0.05)
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for _ in range(3):
            gradients(model, optimizer)
            optimizer.step()
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3]
    assert np.abs(run.iterates[1:]).max() <= np.float32(0.3)


@pytest.mark.parametrize("kind", [Slow, HookedSlow, None])
def test_a_step_that_fails_is_none_and_the_next_counts(tmp_path, kind):
    model = make()
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer = plain if kind is None else kind(plain)

    def fail():
        raise ZeroDivisionError

    kept = []
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for attempt in range(4):
            gradients(model, optimizer)
            if attempt % 2:
                optimizer.step()
                continue
            with pytest.raises(ZeroDivisionError) as error:
                optimizer.step(fail)
            kept.append(error)  # with its traceback, whose frames live on
    assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 1, 2]


def test_several_inner_optimizers_make_one_step(tmp_path):
    model = make()

    class Both:
        def __init__(self, *optimizers):
            self.optimizers = list(optimizers)

        def step(self):
            for optimizer in self.optimizers:
                optimizer.step()

    both = Both(torch.optim.SGD(model[0].parameters(), lr=0.1), torch.optim.Adam(model[2].parameters(), lr=0.01))
    with Recorder(model, tmp_path / "run").attach(both) as recorder:
        for _ in range(3):
            model(X).square().mean().backward()
            both.step()
        with pytest.raises(InputError, match="got an attached one"):
            recorder.attach(both.optimizers[1])
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3]
    assert (run.scalars["lr"][1], run.scalars["lr_1"][1]) == (0.1, 0.01)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_a_fused_kernel_skips_are_none(tmp_path, fused, every):
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu")
    expected = [flat(model)]
    with Recorder(model, tmp_path / "run", every=every).attach(optimizer) as recorder:
        for i in range(7):
            optimizer.zero_grad()
            loss = model(X).square().mean() * (float("inf") if i in {2, 3} else 1.0)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            recorder.record({"mark": i})
            if i not in {2, 3}:
                expected.append(flat(model))
    run = Trajectory.open(tmp_path / "run")
    taken = sorted({*range(0, 6, every), 5})
    assert run.steps.tolist() == taken
    np.testing.assert_array_equal(run.iterates[:], np.array(expected)[taken])
    if fused:
        assert np.nansum(run.scalars["overflows"]) == 2


def test_a_second_optimizer_and_which_steps_each_made(tmp_path):
    model = make()
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    lbfgs = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=3)
    expected = [flat(model)]
    with Recorder(model, tmp_path / "run").attach(adam) as recorder:
        for _ in range(4):
            gradients(model, adam)
            adam.step()
            expected.append(flat(model))
        with pytest.raises(InputError, match="step: expected 4, the steps so far, got 9"):
            recorder.attach(lbfgs, step=9)
        recorder.attach(lbfgs)
        for _ in range(3):
            lbfgs.step(lambda: gradients(model, lbfgs))
            expected.append(flat(model))
    run = Trajectory.open(tmp_path / "run")
    np.testing.assert_array_equal(run.iterates[:], expected)
    first, second = run.settings["optimizers"]
    assert (first["class"], first["n_steps"], first["steps"]) == ("Adam", 4, [[1, 4]])
    assert (second["class"], second["n_steps"], second["steps"]) == ("LBFGS", 3, [[5, 7]])
    assert run.settings["optimizer"]["class"] == "Adam"
    np.testing.assert_array_equal(run.scalars["optimizer"], [np.nan] * 5 + [1] * 3)
    np.testing.assert_array_equal(run.scalars["lr"], [np.nan] + [0.01] * 4 + [0.5] * 3)


def test_optimizers_that_take_turns_are_counted(tmp_path):
    model = make()
    body = torch.optim.SGD(model[0].parameters(), lr=0.1)
    head = torch.optim.SGD(model[2].parameters(), lr=0.2)
    with Recorder(model, tmp_path / "run").attach(body).attach(head):
        for _ in range(30):
            model(X).square().mean().backward()
            body.step()
            head.step()
    run = Trajectory.open(tmp_path / "run")
    assert [entry["n_steps"] for entry in run.settings["optimizers"]] == [30, 30]
    assert all("steps" not in entry for entry in run.settings["optimizers"]), "sixty stretches are not listed"
    np.testing.assert_array_equal(run.scalars["optimizer"][1:], [0, 1] * 30)


def test_another_optimizer_after_a_stop(tmp_path):
    model = make()
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    with Recorder(model, tmp_path / "run").attach(adam):
        for _ in range(3):
            gradients(model, adam)
            adam.step()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "run", resume=True).attach(sgd):
        for _ in range(2):
            gradients(model, sgd)
            sgd.step()
    run = Trajectory.open(tmp_path / "run")
    told = [(entry["class"], entry["steps"]) for entry in run.settings["optimizers"]]
    assert told == [("Adam", [[1, 3]]), ("SGD", [[4, 5]])]
    assert run.settings["optimizer"]["class"] == "Adam"


def test_each_group_is_noted_by_itself(tmp_path):
    model = make()
    groups = [{"params": model[0].parameters(), "lr": 0.2, "weight_decay": 0.1}, {"params": model[2].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda i: 1.0, lambda i: 0.5**i])
    with Recorder(model, tmp_path / "run", every=2).attach(optimizer):
        for _ in range(5):
            gradients(model, optimizer)
            optimizer.step()
            schedule.step()
    run = Trajectory.open(tmp_path / "run")
    first, second = run.settings["optimizer"]["groups"]
    assert (first["names"], first["lr"], first["weight_decay"]) == (["0.weight", "0.bias"], 0.2, 0.1)
    assert (second["names"], second["lr"], second["weight_decay"]) == (["2.weight", "2.bias"], 0.1, 0)
    np.testing.assert_array_equal(run.scalars["lr"], [np.nan, 0.2, 0.2, 0.2])
    # steps 2, 4 and the last, 5, with the rate that each used
    np.testing.assert_allclose(run.scalars["lr_1"], [np.nan, 0.05, 0.0125, 0.00625], rtol=1e-12)


def test_one_plain_group_has_no_list(tmp_path):
    model = make()
    with Recorder(model, tmp_path / "run").attach(torch.optim.SGD(model.parameters(), lr=0.1)):
        pass
    header = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "groups" not in header["settings"]["optimizer"]


def test_unfrozen_parameters_are_told(tmp_path):
    model = make()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    match = r"from step 4 on 2 parameters are trained that the run does not hold \(0.weight, 0.bias\)"
    with pytest.warns(RecordingWarning, match=match), Recorder(model, tmp_path / "run").attach(optimizer):
        for i in range(6):
            if i == 3:
                model[0].requires_grad_(True)
                optimizer.add_param_group({"params": model[0].parameters()})
            gradients(model, optimizer)
            optimizer.step()
    run = Trajectory.open(tmp_path / "run")
    assert run.settings["unrecorded"] == {"from": 4, "names": ["0.weight", "0.bias"]}
    assert run.layout.names == ("2.weight", "2.bias")


def test_a_chosen_part_may_be_left_alone_by_what_is_unfrozen(tmp_path):
    model = make()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "run", select=matching("2.*")).attach(optimizer):
        for i in range(4):
            model[0].requires_grad_(i >= 2)
            gradients(model, optimizer)
            optimizer.step()
    assert Trajectory.open(tmp_path / "run").layout.names == ("2.weight", "2.bias")


def test_an_optimizer_of_a_part(tmp_path):
    model = make()
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with Recorder(model[2], tmp_path / "part").attach(optimizer):
        gradients(model, optimizer)
        optimizer.step()
    with (
        pytest.warns(
            RecordingWarning, match=r"2 recorded parameters are in no attached optimizer \(0.weight, 0.bias\)"
        ),
        Recorder(model, tmp_path / "all").attach(optimizer),
    ):
        gradients(model, optimizer)
        optimizer.step()
    assert Trajectory.open(tmp_path / "part").size == 5
    assert Trajectory.open(tmp_path / "all").settings["untrained"] == ["0.weight", "0.bias"]


def averaged(model, optimizer, steps):
    average = AveragedModel(model)
    for _ in range(steps):
        gradients(model, optimizer)
        optimizer.step()
        average.update_parameters(model)
    return average


def put_in(model, other):
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        p.data.copy_(q.data)  # past autograd's eyes, as published averages do it


@pytest.mark.parametrize("every", [1, 4])
def test_an_average_put_in_at_the_end_is_no_iterate(tmp_path, every):
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "run", every=every).attach(optimizer) as recorder:
        average = averaged(model, optimizer, 6)
        last = flat(model)
        recorder.record({"mark": 1.0})
        recorder.hold()
        put_in(model, average.module)
        recorder.hold()
    run = Trajectory.open(tmp_path / "run")
    assert run.steps[-1] == 6
    np.testing.assert_array_equal(run.theta(-1), last)
    assert (run.scalars["lr"][-1], run.scalars["mark"][-1]) == (0.1, 1.0)
    assert "after step 6" in run.settings["ends"]


def test_without_hold_the_last_step_is_left_out_in_words(tmp_path):
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        pytest.warns(
            RecordingWarning, match="after step 6 something other .* changed the weights.* the run ends at step 4"
        ),
        Recorder(model, tmp_path / "run", every=4).attach(optimizer),
    ):
        put_in(model, averaged(model, optimizer, 6).module)
    assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 4]


def test_weights_that_were_changed_and_put_back_are_the_last_iterate(tmp_path):
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "run", every=4).attach(optimizer):
        average = averaged(model, optimizer, 6)
        kept, last = copy.deepcopy(model), flat(model)
        model.load_state_dict(average.module.state_dict())
        model.load_state_dict(kept.state_dict())
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 4, 6]
    np.testing.assert_array_equal(run.theta(-1), last)


def test_what_is_held_is_dropped_when_training_goes_on(tmp_path):
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = [flat(model)]
    with Recorder(model, tmp_path / "run", every=3, norms=True).attach(optimizer) as recorder:
        for _ in range(7):
            gradients(model, optimizer)
            optimizer.step()
            expected.append(flat(model))
            recorder.hold()
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 3, 6, 7]
    np.testing.assert_array_equal(run.iterates[:], np.array(expected)[run.steps])
    moved = np.linalg.norm(np.diff(np.array(expected)[[0, 3, 6]], axis=0), axis=1)
    np.testing.assert_allclose(run.scalars["update_norm"][1:3], moved, rtol=1e-5)


def test_the_mean_of_accumulated_batches(tmp_path):
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "run").attach(optimizer) as recorder:
        for losses in ((1.0, 2.0, 6.0), (4.0, 5.0, 0.0)):
            optimizer.zero_grad()
            for loss in losses[:-1]:
                model(X).square().mean().backward()
                recorder.pool({"loss": loss})
            model(X).square().mean().backward()
            optimizer.step()
            recorder.record({"loss": losses[-1], "mark": 1.0})
    run = Trajectory.open(tmp_path / "run")
    np.testing.assert_array_equal(run.scalars["loss"], [np.nan, 3.0, 3.0])
    np.testing.assert_array_equal(run.scalars["mark"], [np.nan, 1.0, 1.0])
