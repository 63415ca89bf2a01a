"""The digits example: seeded throughout, recorded truthfully, and really learning."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits

from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.examples import digits


def short(path, **options):
    return Trajectory.open(digits.train(path, **{"epochs": 1, "every": 6, **options}))


def forward(theta, layout, x):
    """The network's outputs, written out in NumPy."""
    part = {name: value.astype(np.float64) for name, value in layout.split(theta).items()}
    hidden = np.maximum(x @ part["0.weight"].T + part["0.bias"], 0)
    return hidden @ part["2.weight"].T + part["2.bias"]


def cross_entropy(outputs, y):
    return float(np.mean(logsumexp(outputs, axis=1) - outputs[np.arange(len(y)), y]))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Trajectory.open(digits.train(tmp_path_factory.mktemp("digits") / "run"))


def test_split_is_stratified_seeded_and_disjoint():
    (x, y), (x_val, y_val) = digits.digits_split()
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    shares = [torch.bincount(part, minlength=10) / len(part) for part in (y, y_val)]
    assert torch.allclose(*shares, atol=1 / 450), "each class has its share, up to one image"
    together = np.concatenate([x, x_val]) * 16
    whole = load_digits().data
    np.testing.assert_array_equal(together[np.lexsort(together.T)], whole[np.lexsort(whole.T)])
    assert torch.equal(digits.digits_split()[0][0], x)
    assert not torch.equal(digits.digits_split(seed=1)[0][0], x)
    assert len(digits.digits_split(validation=0.5)[1][0]) == 899


@pytest.mark.parametrize("name", digits.MODELS)
def test_models_are_seeded_and_small(name):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    model, again, other = (digits.make_model(name, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state), "the process's random state is left alone"
    a, b, c = (torch.nn.utils.parameters_to_vector(m.parameters()) for m in (model, again, other))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert len(a) <= 20_000
    assert model(torch.zeros(5, 64)).shape == (5, 10)


@pytest.mark.slow
def test_the_run_is_long_and_learns(run):
    assert 300 <= run.n_iterates <= 450
    assert set(run.scalars) == {"train_loss", "val_loss", "val_accuracy", "batch_loss", "lr"}
    loss = run.scalars["train_loss"]
    assert loss[0] == pytest.approx(np.log(10), abs=0.1), "untrained, the classes are about even"
    assert loss[-1] < 0.3
    assert run.scalars["val_accuracy"][-1] > 0.9
    assert all(np.isfinite(values[1:]).all() for values in run.scalars.values())


def test_scalars_belong_to_their_iterates(run):
    (x, y), (x_val, y_val) = ((x.numpy(), y.numpy()) for x, y in digits.digits_split())
    for i in (0, 1, 200, -1):
        theta = run.theta(i)
        held_out = forward(theta, run.layout, x_val)
        # float32 in the network against float64 here: 1e-7 a term, and a mean of 10³ terms of size 1
        assert run.scalars["train_loss"][i] == pytest.approx(cross_entropy(forward(theta, run.layout, x), y), rel=1e-5)
        assert run.scalars["val_loss"][i] == pytest.approx(cross_entropy(held_out, y_val), rel=1e-5)
        assert run.scalars["val_accuracy"][i] == pytest.approx(np.mean(held_out.argmax(axis=1) == y_val), abs=1 / 400)


def test_each_step_is_the_gradient_step_of_its_batch(tmp_path):
    """With one batch an epoch the order does not matter, so every step is known in closed form."""
    n = len(digits.digits_split()[0][0])
    run = short(tmp_path / "run", epochs=3, batch_size=n, lr=0.5, every=1)
    x, y = (part.numpy() for part in digits.digits_split()[0])
    for i in range(3):
        part = {name: value.astype(np.float64) for name, value in run.layout.split(run.theta(i)).items()}
        hidden = np.maximum(x @ part["0.weight"].T + part["0.bias"], 0)
        outputs = forward(run.theta(i), run.layout, x)
        error = np.exp(outputs - logsumexp(outputs, axis=1, keepdims=True))
        error[np.arange(n), y] -= 1
        back = (error / n) @ part["2.weight"] * (hidden > 0)
        gradient = {
            "0.weight": back.T @ x,
            "0.bias": back.sum(axis=0),
            "2.weight": (error / n).T @ hidden,
            "2.bias": (error / n).sum(axis=0),
        }
        # parameters are of size 0.1 in float32
        np.testing.assert_allclose(run.theta(i + 1), run.theta(i) - 0.5 * run.layout.join(gradient), rtol=0, atol=1e-6)
        assert run.scalars["batch_loss"][i + 1] == pytest.approx(run.scalars["train_loss"][i], rel=1e-5)


@pytest.mark.slow
def test_sisters_and_strangers(tmp_path):
    base, again = short(tmp_path / "base"), short(tmp_path / "again")
    sister, stranger = short(tmp_path / "sister", order_seed=1), short(tmp_path / "stranger", init_seed=1)
    np.testing.assert_array_equal(base.iterates, again.iterates, "one seed, one run")
    np.testing.assert_array_equal(base.theta(0), sister.theta(0))
    assert not np.any(np.all(base.iterates[1:] == sister.iterates[1:], axis=1))
    assert not np.array_equal(base.theta(0), stranger.theta(0))


@pytest.mark.slow
@pytest.mark.parametrize("model", digits.MODELS)
@pytest.mark.parametrize("optimizer", digits.OPTIMIZERS)
def test_every_model_with_every_optimizer(tmp_path, model, optimizer):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    seen = []
    run = short(
        tmp_path / "run", model=model, optimizer=optimizer, every=21,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert torch.equal(torch.get_rng_state(), state)
    assert run.steps.tolist() == [0, 21, 42]
    assert seen == [(i, 42) for i in range(1, 43)]
    assert run.scalars["train_loss"][-1] < run.scalars["train_loss"][0]
    assert run.scalars["lr"][-1] == digits.OPTIMIZERS[optimizer][0]
    example = run.settings["example"]
    assert (example["name"], example["model"], example["optimizer"]) == ("digits", model, optimizer)
    objective = digits.objective(model=model)
    run.layout.require(objective.layout, "objective")
    # one network evaluated twice in float32, summed in another order
    assert objective.value(run.theta(-1)) == pytest.approx(run.scalars["train_loss"][-1], rel=1e-5)


def test_the_held_out_objective(run):
    objective = digits.objective(held_out=True)
    theta = run.theta(-1)
    assert objective.value(theta) == pytest.approx(run.scalars["val_loss"][-1], rel=1e-5)
    assert objective.metrics(theta)["accuracy"] == pytest.approx(run.scalars["val_accuracy"][-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "transformer"}, "model: expected one of mlp, cnn, got 'transformer'"),
        ({"optimizer": "lion"}, "optimizer: expected one of sgd, momentum, adam, adamw"),
        ({"lr": 0}, "lr: expected a finite number > 0"),
        ({"epochs": 0}, "epochs: expected an integer ≥ 1"),
        ({"batch_size": 1348}, r"batch_size: expected an integer in \[1, 1347\]"),
        ({"every": 0}, "every: expected an integer ≥ 1"),
        ({"init_seed": -1}, "seed: expected an integer ≥ 0"),
        ({"order_seed": 0.5}, "order_seed: expected an integer ≥ 0"),
    ],
)
def test_worded_errors(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        digits.train(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists(), "nothing is written before the arguments are right"


def test_worded_errors_of_the_split():
    for share in (0, 1.0, -0.5, "half"):
        with pytest.raises(InputError, match="validation: expected"):
            digits.digits_split(validation=share)
    with pytest.raises(InputError, match="seed: expected an integer ≥ 0"):
        digits.digits_split(seed=-1)
