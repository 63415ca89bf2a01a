"""BatchNorm re-estimated, recorded buffers, metrics in one pass, standard errors, a tiny language model."""

import copy

import numpy as np
import pytest
import torch

from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.sampling import standard_error
from trajmap.projection.surfaces import surface
from trajmap.recording.recorder import Recorder


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.Dropout(0.5), torch.nn.ReLU(), torch.nn.Linear(6, 3)
    )


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(48, 4, generator=generator) * 3 + 1, torch.randint(3, (48,), generator=generator)
    return [(x[i : i + 16], y[i : i + 16]) for i in range(0, 48, 16)]


def test_statistics_are_those_of_the_data_at_each_point(batches):
    """Against the textbook: run the data through in training mode with cumulative averages, then evaluate."""
    model = network()
    cross_entropy = supervised(torch.nn.functional.cross_entropy)
    objective = Objective(model, cross_entropy, batches, re_estimate=True)
    before = copy.deepcopy(model.state_dict())
    for shift in (0.0, 0.3):
        theta = objective.theta + shift
        twin = copy.deepcopy(model).eval()
        with torch.no_grad():
            for p, part in zip(twin.parameters(), objective.layout.split(theta).values(), strict=True):
                p.copy_(torch.tensor(part))
            norm = twin[1]
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
            for x, _ in batches:
                twin(x)
            twin.eval()
            expected = np.mean([float(torch.nn.functional.cross_entropy(twin(x), y)) for x, y in batches])
        assert objective.value(theta) == pytest.approx(expected, rel=1e-6)
        assert Objective(model, cross_entropy, batches).value(theta) != pytest.approx(expected, rel=1e-3)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    with pytest.raises(InputError, match="re_estimate: expected a model with BatchNorm"):
        Objective(torch.nn.Linear(4, 3), cross_entropy, batches, re_estimate=True)


def test_recorded_buffers_evaluate_an_iterate_as_it_was(tmp_path, batches):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = supervised(torch.nn.functional.cross_entropy)
    seen = []
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for x, y in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            seen.append(Objective(model, loss, batches).value(Objective(model, loss, batches).theta))
    run = Trajectory.open(tmp_path / "run")
    late = Objective(model, loss, batches)
    for i, expected in enumerate(seen, start=1):
        assert late.with_buffers(run.buffers(i)).value(run.theta(i)) == pytest.approx(expected, rel=1e-6)
    assert late.value(run.theta(1)) != pytest.approx(seen[0], rel=1e-4), "the objective itself keeps its own"
    with pytest.raises(InputError, match="buffers: expected names among"):
        late.with_buffers({"nothing": np.zeros(3)})
    with pytest.raises(InputError, match="1.running_mean: expected shape"):
        late.with_buffers({"1.running_mean": np.zeros(2)})


def test_loss_and_metrics_share_a_forward(batches):
    calls = []

    class Counting(torch.nn.Linear):
        def forward(self, x):
            calls.append(1)
            return super().forward(x)

    model = Counting(4, 3)
    objective = Objective(
        model, supervised(torch.nn.functional.cross_entropy), batches,
        metrics={"accuracy": accuracy, "again": accuracy}, check=False,
    )  # fmt: skip
    calls.clear()
    found = objective.evaluate(np.stack([objective.theta, objective.theta + 1]))
    assert len(calls) == 2 * len(batches), "one forward a batch and point"
    for i, theta in enumerate((objective.theta, objective.theta + 1)):
        assert found["loss"][i] == pytest.approx(objective.value(theta), rel=1e-12)
        assert found["accuracy"][i] == objective.metrics(theta)["accuracy"]


def test_standard_error_covers_the_full_data():
    """Of samples of ten batches out of a hundred: the truth lies within two errors in most draws."""
    x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Linear(3, 1)
    loss = lambda m, b: m(b).square().mean()  # ruff: ignore[lambda-assignment]
    full = Objective(model, loss, [x])
    truth, hits = full.value(full.theta), 0
    for seed in range(60):
        rows = torch.randperm(1000, generator=torch.Generator().manual_seed(seed))[:100]
        part = Objective(model, loss, list(x[rows].split(10)))
        hits += abs(part.value(part.theta) - truth) < 2 * standard_error(part, part.theta)
    assert 48 <= hits <= 60
    assert np.isnan(standard_error(full, full.theta))


def test_a_language_model_is_written_the_same_way():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    model = transformers.GPT2LMHeadModel(config)
    tokens = torch.randint(0, 20, (6, 8))
    batch = {"input_ids": tokens, "labels": tokens}
    objective = Objective(model, lambda m, b: m(**b).loss, [batch])
    assert objective.value(objective.theta) == pytest.approx(model.eval()(**batch).loss.item(), rel=1e-5)
    v = np.random.default_rng(0).normal(size=objective.size)
    step = 1e-2 * v / np.linalg.norm(v)
    slope = (objective.value(objective.theta + step) - objective.value(objective.theta - step)) / 2
    assert objective.gradient(objective.theta) @ step == pytest.approx(slope, rel=0.05, abs=1e-4)


def trained(tmp_path, batches):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    with Recorder(model, tmp_path / "run").attach(optimizer):
        for x, y in batches * 3:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model, Trajectory.open(tmp_path / "run")


def test_an_objective_of_a_run_has_the_statistics_of_each_iterate(tmp_path, batches):
    """Made from a fresh model, as a function of the user's does: its own statistics are never used."""
    _, run = trained(tmp_path, batches)
    cross_entropy = supervised(torch.nn.functional.cross_entropy)
    fresh = Objective(network(), cross_entropy, batches)
    objective = fresh.for_run(run)
    expected = [fresh.with_buffers(run.buffers(i)).value(run.theta(i)) for i in range(run.n_iterates)]
    np.testing.assert_allclose(objective.values(run.iterates), expected, rtol=1e-6)
    assert abs(fresh.value(run.theta(-1)) - expected[-1]) > 1e-3
    last = fresh.with_buffers(run.buffers(-1))
    np.testing.assert_allclose(objective.gradient(run.theta(-1)), last.gradient(run.theta(-1)), rtol=1e-6)
    v = np.random.default_rng(0).normal(size=run.size)
    np.testing.assert_allclose(objective.hvp(run.theta(-1), v), last.hvp(run.theta(-1), v), rtol=1e-5, atol=1e-7)
    assert "each iterate's own" in objective.statistics
    assert fresh.frozen_statistics


def test_statistics_are_continuous_at_the_run_and_estimated_far_from_it(tmp_path, batches):
    _, run = trained(tmp_path, batches)
    cross_entropy = supervised(torch.nn.functional.cross_entropy)
    objective = Objective(network(), cross_entropy, batches).for_run(run)
    theta = run.theta(4).astype(np.float64)
    away = np.random.default_rng(0).normal(size=run.size) / np.sqrt(run.size)
    here = objective.value(theta)
    steps = [abs(objective.value(theta + t * away) - here) for t in (1e-3, 1e-2)]
    assert steps[0] < steps[1] < 0.05 * here
    anew = Objective(network(), cross_entropy, batches, re_estimate=True)
    far = theta + 30 * away
    assert objective.value(far) == pytest.approx(anew.value(far), rel=0.02)


def test_a_run_without_statistics_has_them_estimated(batches):
    model = network()
    cross_entropy = supervised(torch.nn.functional.cross_entropy)
    plain, anew = (Objective(model, cross_entropy, batches, re_estimate=flag) for flag in (False, True))
    run = Trajectory.of(np.stack([anew.theta, anew.theta + 0.1]), layout=anew.layout)
    np.testing.assert_allclose(plain.for_run(run).values(run.iterates), anew.values(run.iterates), rtol=1e-12)
    assert "estimated" in plain.for_run(run).statistics
    linear = Objective(torch.nn.Linear(4, 3), cross_entropy, batches)
    assert linear.for_run(Trajectory.of(np.zeros((2, 15)), layout=linear.layout)) is linear


def test_a_batch_of_one_sample_has_no_part_in_the_statistics(batches):
    """Its variance is not there: the others' are taken, and the loss is still the mean over all samples."""
    cross_entropy = supervised(torch.nn.functional.cross_entropy)
    x, y = batches[0]
    short = [*batches[1:], (x[:1], y[:1])]
    found = Objective(network(), cross_entropy, short, re_estimate=True)
    theta = found.theta + 0.1
    model = network()
    torch.nn.utils.vector_to_parameters(torch.tensor(theta), model.parameters())
    torch.optim.swa_utils.update_bn(batches[1:], model)
    model.eval()
    expected = sum(len(y) * torch.nn.functional.cross_entropy(model(x), y).item() for x, y in short) / 33
    assert found.value(theta) == pytest.approx(expected, rel=1e-6)
    assert found.value(theta + 1) == found.value(theta + 1)
    single = Objective(network(), cross_entropy, [(x[:1], y[:1]), (x[1:2], y[1:2])], re_estimate=True)
    with pytest.raises(InputError, match="batches of two or more samples"):
        single.value(theta)


def test_verbs_take_the_statistics_of_the_run_they_are_given(tmp_path, batches):
    """From Python too: a fresh model's own statistics would be used without a word."""
    _, run = trained(tmp_path, batches)
    fresh = Objective(network(), supervised(torch.nn.functional.cross_entropy), batches)
    expected = [fresh.with_buffers(run.buffers(i)).value(run.theta(i)) for i in range(run.n_iterates)]
    plane = Plane(run.theta(-1), np.random.default_rng(0).normal(size=(2, run.size)))
    land = surface(fresh, plane, Grid((np.linspace(-1, 1, 3),) * 2), trajectory=run)
    np.testing.assert_allclose(land.path_values, expected, rtol=1e-6)
    chosen = fresh.with_buffers(run.buffers(0))
    assert chosen.along(run) is chosen, "what was chosen stays"
    bound = fresh.for_run(run)
    assert bound.along(run) is bound


def test_a_loss_that_trains_the_model_is_refused(batches):
    def loss(model, batch):
        model.train()
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])

    with pytest.raises(InputError, match="evaluation mode, got one that calls model.train"):
        Objective(network(), loss, batches)
