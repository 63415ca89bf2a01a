"""The recorder writes exactly what the optimizer did, and leaves no trace in the loop."""

import copy

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from trajmap.data.store.store import iterate_path
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.recording.recorder import Recorder


def make(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)).to(dtype)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def step(model, optimizer):
    optimizer.zero_grad()
    parameter = next(model.parameters())
    loss = model(torch.randn(8, 3, dtype=parameter.dtype)).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def flat(model):
    return torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()]).numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_is_bit_exact(tmp_path, dtype):
    model, optimizer = make(dtype=dtype)
    expected, losses = [flat(model)], []
    with Recorder(model, tmp_path / "run").attach(optimizer) as recorder:
        for _ in range(7):
            losses.append(step(model, optimizer))
            recorder.record({"loss": losses[-1]})
            expected.append(flat(model))
    run = Trajectory.open(tmp_path / "run")
    assert run.iterates.dtype == expected[0].dtype
    np.testing.assert_array_equal(run.iterates, np.array(expected))
    np.testing.assert_array_equal(run.steps, np.arange(8))
    np.testing.assert_array_equal(run.scalars["loss"], [np.nan, *losses])
    np.testing.assert_array_equal(run.scalars["lr"], [np.nan, *[0.1] * 7])
    assert run.settings["optimizer"]["class"] == "SGD"
    assert run.settings["optimizer"]["momentum"] == 0.9


def test_any_safetensors_reader_sees_the_tensors_by_name(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run").attach(optimizer):
        step(model, optimizer)
    tensors = load_file(iterate_path(tmp_path / "run", 1))
    assert set(tensors) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy())
        assert tensors[name].dtype == tensor.numpy().dtype


def test_narrow_parameters_are_widened_without_loss(tmp_path):
    model = torch.nn.Linear(3, 2).to(torch.bfloat16)
    with Recorder(model, tmp_path / "run") as recorder:
        recorder.record()
        recorder.record()
    run = Trajectory.open(tmp_path / "run")
    assert run.iterates.dtype == np.float32
    np.testing.assert_array_equal(run.theta(0), flat(model.to(torch.float32)))


def test_every_keeps_each_kth_and_the_last(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run", every=4).attach(optimizer) as recorder:
        for i in range(1, 11):
            step(model, optimizer)
            recorder.record({"mark": i})
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 4, 8, 10]
    np.testing.assert_array_equal(run.scalars["mark"], [np.nan, 4, 8, 10])
    np.testing.assert_array_equal(run.theta(-1), flat(model))


def test_scalars_of_steps_that_every_leaves_out(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run", every=3).attach(optimizer) as recorder:
        recorder.record({"start": 1.0})
        for i in range(1, 6):
            step(model, optimizer)
            recorder.record({"mark": i})
            if i == 2:
                recorder.record({"extra": torch.tensor(2.5, requires_grad=True)}, step=2)
            recorder.record({"twice": 10 * i})
        expected = flat(model)
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 2, 3, 5], "2 was asked for by name, 5 is the last"
    np.testing.assert_array_equal(run.scalars["start"], [1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(run.scalars["mark"], [np.nan, 2, 3, 5])
    np.testing.assert_array_equal(run.scalars["twice"], [np.nan, 20, 30, 50])
    np.testing.assert_array_equal(run.scalars["extra"], [np.nan, 2.5, np.nan, np.nan])
    np.testing.assert_array_equal(run.scalars["lr"], [np.nan, 0.1, 0.1, 0.1])
    np.testing.assert_array_equal(run.theta(-1), expected)


def test_the_rate_is_the_one_the_step_used(tmp_path):
    model, optimizer = make()
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for _ in range(3):
            step(model, optimizer)
            schedule.step()
    np.testing.assert_array_equal(Trajectory.open(tmp_path / "run").scalars["lr"], [np.nan, 0.1, 0.05, 0.025])


def test_attaching_after_recording_by_hand_counts_on(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run") as recorder:
        recorder.record(step=10)
        recorder.attach(optimizer)
        for _ in range(2):
            step(model, optimizer)
    assert Trajectory.open(tmp_path / "run").steps.tolist() == [10, 11, 12]


def test_nothing_is_recorded_after_closing(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run").attach(optimizer):
        step(model, optimizer)
    step(model, optimizer)
    assert Trajectory.open(tmp_path / "run").n_iterates == 2


def test_two_recorders_on_one_optimizer(tmp_path):
    model, optimizer = make()
    weights = Recorder(model, tmp_path / "w", select=lambda name, parameter: name.endswith("weight"))
    with weights.attach(optimizer), Recorder(model, tmp_path / "all", every=2).attach(optimizer):
        for _ in range(4):
            step(model, optimizer)
    narrow, whole = Trajectory.open(tmp_path / "w"), Trajectory.open(tmp_path / "all")
    assert narrow.layout.names == ("0.weight", "1.weight", "2.weight")
    np.testing.assert_array_equal(narrow.thin(2).iterates, whole.select("*.weight").iterates)


def test_settings_tell_how_the_run_was_made(tmp_path):
    model, _ = make()
    rate = torch.tensor(0.01)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.8, 0.9), weight_decay=0.1)
    with Recorder(model, tmp_path / "run", every=2, settings={"note": [1, None]}).attach(optimizer):
        step(model, optimizer)
    run = Trajectory.open(tmp_path / "run")
    assert run.settings["model"] == "Sequential"
    assert run.settings["every"] == 2
    assert run.settings["note"] == [1, None]
    assert run.settings["versions"]["torch"] == torch.__version__
    noted = run.settings["optimizer"]
    assert (noted["class"], noted["betas"], noted["weight_decay"]) == ("AdamW", [0.8, 0.9], 0.1)
    assert noted["lr"] == run.scalars["lr"][1] == rate.item()


def test_views_and_mixed_precision_are_laid_flat(tmp_path):
    model = torch.nn.Module()
    model.image = torch.nn.Parameter(torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last))
    model.wide = torch.nn.Parameter(torch.randn(3, 2, dtype=torch.float64).T)
    model.narrow = torch.nn.Parameter(torch.randn(4).half())
    with Recorder(model, tmp_path / "run") as recorder:
        recorder.record()
        recorder.record()
    run = Trajectory.open(tmp_path / "run")
    assert run.iterates.dtype == np.float64
    for name, value in run.layout.split(run.theta(0)).items():
        np.testing.assert_array_equal(value, getattr(model, name).detach().numpy())


def test_recording_by_hand(tmp_path):
    model, _ = make()
    with Recorder(model, tmp_path / "run") as recorder:
        recorder.record({"loss": 3.0})
        with torch.no_grad():
            model[0].weight.fill_(float("nan"))
        recorder.record({"loss": 2.0}, step=5)
        recorder.record({"accuracy": 0.5}, step=5)
        recorder.record({"accuracy": 0.75})
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 5, 6]
    np.testing.assert_array_equal(run.scalars["accuracy"], [np.nan, 0.5, 0.75])
    assert np.isnan(run.theta(1)).sum() == 12, "NaN is data"


def test_no_name_of_a_metric_is_taken(tmp_path):
    model, optimizer = make()
    names = {"step": 7.0, "self": 1.0, "scalars": 2.0, "named": 3.0, "": 4.0, "train/loss": 5.0}
    with Recorder(model, tmp_path / "run").attach(optimizer) as recorder:
        step(model, optimizer)
        recorder.record(names)
        recorder.record(scalars={"scalars": 8.0, "self": 9.0, "loss": 6.0})
        with pytest.raises(TypeError, match="loss"):
            recorder.record(loss=7.0)  # one way alone, in which no name can clash with an argument
        with pytest.raises(InputError, match="scalars: expected a mapping of names to numbers, got 0.5"):
            recorder.pool(0.5)
    run = Trajectory.open(tmp_path / "run")
    found = {name: values[1] for name, values in run.scalars.items()}
    assert found == {"lr": 0.1, **names, "loss": 6.0, "scalars": 8.0, "self": 9.0}
    assert run.steps.tolist() == [0, 1]


def test_tied_and_frozen_parameters(tmp_path):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(3, 3, bias=False)
            self.second = torch.nn.Linear(3, 3, bias=False)
            self.second.weight = self.first.weight
            self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)

    model = Tied()
    recorder = Recorder(model, tmp_path / "run")
    assert recorder.layout.names == ("first.weight",)
    everything = Recorder(model, tmp_path / "all", select=lambda name, parameter: True)
    assert everything.layout.names == ("frozen", "first.weight")


def test_closures_and_groups(tmp_path):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    x = torch.randn(10, 2)

    def closure():
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        loss.backward()
        return loss

    with Recorder(model, tmp_path / "lbfgs").attach(optimizer):
        for _ in range(3):
            optimizer.step(closure)
    assert Trajectory.open(tmp_path / "lbfgs").n_iterates == 4
    groups = torch.optim.SGD([{"params": [model.weight], "lr": 0.5}, {"params": [model.bias], "lr": 0.1}])
    with Recorder(model, tmp_path / "groups").attach(groups):
        groups.step(closure)
    assert Trajectory.open(tmp_path / "groups").scalars["lr"][1] == 0.5


def test_recording_changes_nothing(tmp_path):
    def run(record):
        model, optimizer = make()
        recorder = Recorder(model, tmp_path / "run").attach(optimizer) if record else None
        for _ in range(5):
            loss = step(model, optimizer)
            if recorder:
                recorder.record({"loss": loss})
        if recorder:
            recorder.close()
        state = [copy.deepcopy(model.state_dict()), optimizer.state_dict()["state"]]
        return state, [p.grad for p in model.parameters()], model.training, torch.get_rng_state(), optimizer

    (plain, grads, mode, rng, _), (seen, grads_seen, mode_seen, rng_seen, optimizer) = (
        run(record=False),
        run(record=True),
    )
    for name, value in plain[0].items():
        assert torch.equal(value, seen[0][name])
    for key, value in plain[1].items():
        assert torch.equal(value["momentum_buffer"], seen[1][key]["momentum_buffer"])
    assert all(torch.equal(a, b) for a, b in zip(grads, grads_seen, strict=True))
    assert mode == mode_seen
    assert torch.equal(rng, rng_seen)
    assert not optimizer._optimizer_step_post_hooks, "a closed recorder lets the optimizer go"


def test_an_error_in_the_loop_keeps_what_was_recorded(tmp_path):
    model, optimizer = make()

    def crash():
        with Recorder(model, tmp_path / "run").attach(optimizer):
            for _ in range(3):
                step(model, optimizer)
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        crash()
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3]


def test_an_error_between_two_iterates_adds_none(tmp_path):
    model, optimizer = make()

    def crash():
        with Recorder(model, tmp_path / "run", every=2).attach(optimizer):
            for _ in range(3):
                step(model, optimizer)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 2], "the third step may be half done"


def test_an_iterate_that_cannot_be_taken_leaves_the_others_whole(tmp_path):
    model = torch.nn.Linear(2, 2)
    expected = [flat(model)] * 2
    recorder = Recorder(model, tmp_path / "run")
    recorder.record()
    recorder.record()
    model.bias.data = torch.zeros(5)
    with pytest.warns(RuntimeWarning, match="recording stopped after .* training continues"):
        recorder.record()
    recorder.record()
    recorder.close()
    run = Trajectory.open(tmp_path / "run")
    assert run.steps.tolist() == [0, 1]
    np.testing.assert_array_equal(run.iterates, expected)


def test_a_taken_path_is_refused_and_only_runs_are_replaced(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run").attach(optimizer):
        step(model, optimizer)
    with pytest.raises(InputError, match="overwrite=True"):
        Recorder(model, tmp_path / "run")
    assert Trajectory.open(tmp_path / "run").n_iterates == 2, "a refusal loses nothing"
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="which is something else"):
        Recorder(model, tmp_path / "notes", overwrite=True)
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="which is something else"):
        Recorder(model, tmp_path / "file", overwrite=True)


def test_the_old_run_lives_until_the_new_one_begins(tmp_path):
    model, optimizer = make()
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for _ in range(3):
            step(model, optimizer)
    (tmp_path / "run" / "artefacts").mkdir()
    (tmp_path / "run" / "artefacts" / "old.npz").write_bytes(b"of the old run")
    stranger = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(InputError, match="optimizer"):
        Recorder(model, tmp_path / "run", overwrite=True).attach(stranger)
    Recorder(model, tmp_path / "run", overwrite=True).close()
    assert Trajectory.open(tmp_path / "run").n_iterates == 4, "nothing came to replace it"
    with Recorder(model, tmp_path / "run", overwrite=True).attach(optimizer):
        step(model, optimizer)
    assert Trajectory.open(tmp_path / "run").n_iterates == 2, "no iterate of the old run is left"
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["iterates", "run.json"]


def test_a_path_that_is_taken_meanwhile_is_left_alone(tmp_path):
    model, optimizer = make()
    recorder = Recorder(model, tmp_path / "run", overwrite=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="which is something else"):
        recorder.attach(optimizer)
    assert (tmp_path / "run" / "thesis.txt").read_text() == "years of work"


def test_what_a_link_in_an_old_run_points_to_is_left_alone(tmp_path):
    model, _ = make()
    with Recorder(model, tmp_path / "run") as recorder:
        recorder.record()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("kept")
    (tmp_path / "run" / "data").symlink_to(tmp_path / "data")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with Recorder(model, tmp_path / "link", overwrite=True) as recorder:
        recorder.record()
        recorder.record()
    assert Trajectory.open(tmp_path / "run").n_iterates == 2
    assert (tmp_path / "run" / "data").is_symlink(), "it is not what a recorder makes"
    assert (tmp_path / "data" / "x").read_text() == "kept"


def test_worded_errors(tmp_path):
    model, optimizer = make()
    stranger = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(InputError, match=r"^model: expected a torch.nn.Module"):
        Recorder(model.parameters(), tmp_path / "run")
    with pytest.raises(InputError, match="every: expected an integer ≥ 1, got 0"):
        Recorder(model, tmp_path / "run", every=0)
    with pytest.raises(InputError, match="select: expected at least one parameter"):
        Recorder(model, tmp_path / "run", select=lambda name, parameter: False)
    with pytest.raises(InputError, match="settings: expected plain JSON"):
        Recorder(model, tmp_path / "run", settings={"model": model})
    with pytest.raises(InputError, match="optimizer: expected one that holds"):
        Recorder(model, tmp_path / "run").attach(stranger)
    assert not (tmp_path / "run").exists(), "nothing is written before the arguments are right"
    with pytest.raises(InputError, match="optimizer: expected a torch.optim.Optimizer"):
        Recorder(model, tmp_path / "run").attach(model)
    with pytest.raises(InputError, match="settings: expected names other than .*, got optimizer"):
        Recorder(model, tmp_path / "run", settings={"optimizer": "mine"})
    with pytest.raises(InputError, match="settings: expected plain JSON"):
        Recorder(model, tmp_path / "run", settings=3)
    with pytest.raises(InputError, match="weight: expected a parameter with a shape"):
        Recorder(torch.nn.LazyLinear(2), tmp_path / "run")
    with pytest.raises(InputError, match="p: expected real numbers, got torch.complex64"):
        Recorder(torch.nn.ParameterDict({"p": torch.zeros(2, dtype=torch.complex64)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    recorder = Recorder(model, tmp_path / "run").attach(optimizer)
    with pytest.raises(InputError, match="optimizer: expected one that is not attached, got an attached one"):
        recorder.attach(optimizer)
    with pytest.raises(InputError, match=r"scalars: expected a mapping of names to numbers, got 3; repair: .*step=3"):
        recorder.record(3)
    with pytest.raises(InputError, match="loss: expected a number, got 'low'"):
        recorder.record({"loss": "low"})
    for value, told in (("0.5", "'0.5'"), (None, "None"), (torch.zeros(2), "Tensor"), (1j, "complex")):
        with pytest.raises(InputError, match=f"loss: expected a number, got {told}"):
            recorder.record({"loss": value})
    step(model, optimizer)
    for wrong in (0, 2, "one"):
        with pytest.raises(InputError, match="step: expected 1, the optimizer's steps so far"):
            recorder.record(step=wrong)
    recorder.close()
    recorder.close()
    with pytest.raises(InputError, match="a closed one"):
        recorder.record()
    with pytest.raises(InputError, match="a closed one"):
        recorder.attach(optimizer)
    by_hand = Recorder(model, tmp_path / "by hand")
    by_hand.record(step=3)
    for wrong in (2, 3.5):
        with pytest.raises(InputError, match="step: expected an integer ≥ 3"):
            by_hand.record(step=wrong)
    by_hand.close()
    with pytest.raises(InputError, match="at least 2 iterates, got 1"):
        Trajectory.open(tmp_path / "by hand")
