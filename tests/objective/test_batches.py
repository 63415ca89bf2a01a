"""Batches are copied when read and handed out fresh, of the user's own type; the loader is as it was."""

import argparse
import collections
import dataclasses
import itertools
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from trajmap.errors import InputError
from trajmap.objective.batch_copies import fixed_batches
from trajmap.objective.batches import Batches
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.objective.structure import Structure

F = torch.nn.functional
MSE = supervised(F.mse_loss)


def linear(inputs=3, outputs=1):
    torch.manual_seed(0)
    return torch.nn.Linear(inputs, outputs).double()


def data(n=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(n, k, generator=generator, dtype=torch.float64) for k in (3, 1)]
    return draw[0] + 2, draw[1]


@dataclasses.dataclass
class Pair:
    x: torch.Tensor
    y: torch.Tensor


class Graph:
    """A class of the user's own, with slots, a cycle and a nested list."""

    __slots__ = ("extra", "me", "x", "y")

    def __init__(self, x, y):
        self.x, self.y, self.me, self.extra = x, y, self, [{"z": x}]


Named = collections.namedtuple("Named", "x y")
KINDS = {
    "dataclass": Pair,
    "slots": Graph,
    "namedtuple": Named,
    "namespace": lambda x, y: argparse.Namespace(x=x, y=y),
    "userdict": lambda x, y: collections.UserDict(x=x, y=y),
    "ordered": lambda x, y: collections.OrderedDict(x=x, y=y),
}


@pytest.mark.parametrize("kind", KINDS)
def test_batches_keep_their_type(kind):
    x, y = data()
    seen = []

    def loss(model, batch):
        seen.append(type(batch))
        a, b = (batch["x"], batch["y"]) if isinstance(batch, (dict, collections.UserDict)) else (batch.x, batch.y)
        return (model(a) - b).square().mean()

    model = linear()
    made = [KINDS[kind](x[:8], y[:8]), KINDS[kind](x[8:], y[8:])]
    objective = Objective(model, loss, made)
    assert objective.value(objective.theta) == pytest.approx((model(x) - y).square().mean().item(), rel=1e-12)
    assert set(seen) == {type(made[0])}


def test_local_classes_and_shared_parts():
    @dataclasses.dataclass
    class Local:
        x: torch.Tensor
        function: object

    x = torch.ones(2)
    taken = Structure([Local(x, lambda: 3), x])
    first, second = taken.build([torch.zeros(2)])
    assert type(first) is Local and first.x is second and first.function() == 3


def test_a_packed_sequence():
    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.LSTM(3, 2)

        def forward(self, packed):
            return self.rnn(packed)[1][0]

    torch.manual_seed(0)
    model, packed = Last(), pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    objective = Objective(model, lambda m, b: m(b).square().mean(), [packed])
    assert objective.value(objective.theta) == pytest.approx(model(packed).square().mean().item(), rel=1e-6)


def test_what_cannot_be_copied_is_named(tmp_path):
    with (
        (tmp_path / "a").open("w") as file,
        pytest.raises(InputError, match=r"batches that can be copied, got dict .*TextIOWrapper"),
    ):
        fixed_batches([{"x": torch.ones(2), "file": file}])


def test_a_loss_may_take_its_batch_apart():
    x, y = data()
    model, batch = linear(), {"x": x, "labels": y}

    def loss(m, b):
        target = b.pop("labels")
        return (m(b["x"]) - target).square().mean()

    objective = Objective(model, loss, [batch], metrics={"again": loss})
    truth = (model(x) - y).square().mean().item()
    found = objective.evaluate(np.stack([objective.theta] * 2))
    np.testing.assert_allclose(np.array([found["loss"], found["again"]]), truth, rtol=1e-12)
    np.testing.assert_allclose(objective.gradient(objective.theta), objective.gradient(objective.theta), rtol=0)
    assert list(batch) == ["x", "labels"]


class Centred(torch.nn.Module):
    def __init__(self, how):
        super().__init__()
        self.lin, self.how = linear(), how

    def forward(self, x):
        if self.how == "in place":
            x -= x.mean(0, keepdim=True) / 2
        elif self.how == "data":  # a write that torch does not count
            x.data.sub_(x.mean(0, keepdim=True) / 2)
        else:
            x.numpy()[:] -= x.numpy().mean(0) / 2
        return self.lin(x)


@pytest.mark.parametrize("how", ["in place", "data", "numpy"])
def test_a_forward_that_writes_to_its_input(how):
    x, y = data()
    before, model = x.clone(), Centred(how)
    objective = Objective(model, MSE, [(x[:8], y[:8]), (x[8:], y[8:])], metrics={"mse": MSE})
    theta = objective.theta
    halves = [F.mse_loss(model.lin(a - a.mean(0) / 2), b) for a, b in ((before[:8], y[:8]), (before[8:], y[8:]))]
    truth = (8 * halves[0] + 4 * halves[1]).item() / 12
    for _ in range(3):
        assert objective.value(theta) == pytest.approx(truth, rel=1e-12)
        assert objective.evaluate(theta[None])["mse"][0] == pytest.approx(truth, rel=1e-12)
    assert torch.equal(x, before)
    gradient = torch.autograd.grad((8 * halves[0] + 4 * halves[1]) / 12, list(model.parameters()))
    np.testing.assert_allclose(objective.gradient(theta), torch.cat([g.reshape(-1) for g in gradient]), rtol=1e-10)


def test_a_late_write_is_refused_not_used():
    x, y = data()
    calls = []

    def loss(model, batch):
        calls.append(1)
        if len(calls) == 20:  # long after the objective was made
            batch[0].zero_()
        return F.mse_loss(model(batch[0]), batch[1])

    objective = Objective(linear(), loss, [(x, y)])
    with pytest.raises(InputError, match="writes to its batch in every call or in none"):
        [objective.value(objective.theta) for _ in range(22)]


def test_loaders_that_reuse_a_buffer():
    """Also where the same memory is written behind torch's back."""
    x, y = data()
    array = np.empty((4, 3))
    tensor = torch.from_numpy(array)

    def loader():
        for i in range(0, 12, 4):
            array[:] = x[i : i + 4].numpy()
            yield tensor, y[i : i + 4]

    model = linear()
    objective = Objective(model, MSE, loader())
    assert objective.value(objective.theta) == pytest.approx(F.mse_loss(model(x), y).item(), rel=1e-12)


def test_arrays_stay_arrays():
    x, y = (part.numpy() for part in data())

    def loss(model, batch):
        assert all(type(part) is np.ndarray for part in batch)
        batch[0][:] += 1  # writes to an array of its own
        return F.mse_loss(model(torch.from_numpy(batch[0])), torch.from_numpy(batch[1]))

    model, before = linear(), x.copy()
    objective = Objective(model, loss, [(x, y)])
    truth = F.mse_loss(model(torch.from_numpy(before + 1)), torch.from_numpy(y)).item()
    assert [objective.value(objective.theta) for _ in range(2)] == pytest.approx([truth, truth], rel=1e-12)
    np.testing.assert_array_equal(x, before)
    with pytest.raises(InputError, match="tensors if device or dtype is given"):
        fixed_batches([(x, y)], dtype=torch.float32)


def test_inputs_that_want_gradients_keep_wanting_them():
    x, _ = data()
    points = x.clone().requires_grad_()
    model = linear()

    def residual(m, b):
        (slope,) = torch.autograd.grad(m(b).square().sum(), b, create_graph=True)
        return slope.square().mean()

    objective = Objective(model, residual, [points])
    truth = (2 * model(x) * model.weight).square().mean().item()
    assert objective.value(objective.theta) == pytest.approx(truth, rel=1e-12)
    assert points.grad is None


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loaders_generators_stay(workers):
    x, y = data(64)

    class Noisy(TensorDataset):
        def __init__(self):
            super().__init__(x, y)
            self.rng, self.python = np.random.default_rng(0), random.Random(0)

        def __getitem__(self, i):
            return x[i] + self.rng.normal() * self.python.random(), y[i]

    epochs = []
    for look in (False, True):
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(1)
        loader = DataLoader(Noisy(), batch_size=8, shuffle=True, generator=generator, num_workers=workers)
        list(loader)
        if look:
            Objective(linear(), MSE, loader)
        epochs.append(torch.cat([batch[0] for batch in loader]))
    assert torch.equal(*epochs)


def test_workers_that_are_kept_go_on_with_their_epoch():
    x, y = data(64)
    loader = DataLoader(TensorDataset(x, y), batch_size=8, num_workers=1, persistent_workers=True)
    epoch = iter(loader)
    seen = [next(epoch)[0] for _ in range(3)]
    Objective(linear(), MSE, loader)
    assert torch.equal(torch.cat([*seen, *(batch[0] for batch in epoch)]), x)


class Stream(IterableDataset):
    def __iter__(self):
        generator = torch.Generator().manual_seed(0)
        while True:
            yield torch.randn(3, generator=generator)


@pytest.mark.slow
@pytest.mark.parametrize("endless", [lambda: itertools.cycle([torch.ones(2, 3)]), lambda: DataLoader(Stream(), 4)])
def test_endless_loaders(endless):
    with pytest.raises(InputError, match=r"batches that end.*max_batches=n"):
        fixed_batches(endless())
    assert len(fixed_batches(endless(), max_batches=5)) == 5
    assert len(fixed_batches(itertools.islice(endless(), 5))) == 5


@pytest.mark.slow
def test_an_endless_loader_of_large_batches_ends_within_its_memory():
    code = """
import resource, torch
from trajmap.objective.batch_copies import fixed_batches
from trajmap.errors import InputError
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + (1 << 30),) * 2)
def endless():
    while True:
        yield torch.zeros(1 << 22)
try:
    fixed_batches(endless())
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "GiB and no end" in done.stdout, done.stderr


def test_honest_repeats_are_read():
    batch = (torch.ones(2, 3), torch.zeros(2, 1))
    read = fixed_batches(itertools.chain([batch] * 3, [batch] * 20))
    assert len(read) == 23
    assert len(fixed_batches([batch] * 500)) == 500
    assert read.kept[0].leaves[0] is read.kept[22].leaves[0], "equal tensors are kept once"


@pytest.mark.parametrize("wrong", [torch.ones(3, 2), np.ones((3, 2)), [], 3, "abc"])
def test_what_is_no_list_of_batches(wrong):
    with pytest.raises(InputError, match="batches: expected"):
        fixed_batches(wrong)


def test_batches_travel():
    read = fixed_batches([Pair(*data())])
    other = pickle.loads(pickle.dumps(read))
    assert isinstance(other, Batches) and torch.equal(other[0].x, read[0].x) and other.kept[0].size == 12


def test_a_metric_does_not_see_outputs_that_a_loss_edited():
    x, y = data()
    model = linear()
    objective = Objective(
        model, lambda m, b: m(b[0]).sub_(b[1]).square_().mean(), [(x, y)], metrics={"mean": lambda m, b: m(b[0]).mean()}
    )
    for _ in range(2):
        found = objective.evaluate(objective.theta[None])
        assert found["mean"][0] == pytest.approx(model(x).mean().item(), rel=1e-12)
        assert found["loss"][0] == pytest.approx(objective.value(objective.theta), rel=1e-14)


class Holder:
    """Has its tensor where nobody looks."""

    def __init__(self, tensor):
        self.give = iter([tensor])
        self.tensor = tensor


@dataclasses.dataclass
class Output:
    logits: torch.Tensor


@pytest.mark.parametrize("wrap", [Output, Holder, lambda out: {"logits": out}])
def test_outputs_of_any_type_that_are_edited(wrap):
    class Wrapping(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = linear()

        def forward(self, x):
            return wrap(self.lin(x))

    def take(out):
        if isinstance(out, dict):
            return out.pop("logits")
        return out.logits if isinstance(out, Output) else next(out.give)

    x, y = data()
    model = Wrapping()
    objective = Objective(
        model, lambda m, b: take(m(b[0])).sub_(b[1]).square_().mean(), [(x, y)],
        metrics={"mean": lambda m, b: take(m(b[0])).mean(), "most": lambda m, b: take(m(b[0])).max()},
    )  # fmt: skip
    out = model.lin(x)
    found = objective.evaluate(np.stack([objective.theta] * 2))
    assert found["loss"] == pytest.approx([F.mse_loss(out, y).item()] * 2, rel=1e-12)
    assert found["mean"] == pytest.approx([out.mean().item()] * 2, rel=1e-12)
    assert found["most"] == pytest.approx([out.max().item()] * 2, rel=1e-12)


def test_a_forward_that_rolls_a_buffer():
    class Rolling(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = linear()
            self.register_buffer("queue", torch.arange(3.0, dtype=torch.float64))

        def forward(self, x):
            self.queue.copy_(self.queue.roll(1))
            return self.lin(x) * self.queue[0]

    x, y = data()
    model = Rolling()

    def loss(m, b):  # two forwards: the buffer is rolled between them
        return F.mse_loss(m(b[0]) + m(b[0]), b[1])

    objective = Objective(model, loss, [(x, y)], metrics={"again": loss})
    truth = F.mse_loss(model.lin(x) * 2 + model.lin(x) * 1, y).item()
    found = objective.evaluate(objective.theta[None])
    assert [found["loss"][0], found["again"][0], objective.value(objective.theta)] == pytest.approx([truth] * 3)


def test_a_metric_that_changes_how_the_model_works():
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.scale = linear(), 1.0

        def forward(self, x):
            return self.lin(x) * self.scale

        def double(self):
            self.scale = 2.0

    def set_scale(m, b):
        m.scale = 3.0
        return m(b).mean()

    def call_double(m, b):
        m.double()
        return m(b).mean()

    x, _ = data()
    model = Scaled()

    def plain(m, b):
        return m(b).mean()

    objective = Objective(model, plain, [x], metrics={"three": set_scale, "two": call_double, "one": plain})
    found = objective.evaluate(objective.theta[None])
    mean = model.lin(x).mean().item()
    assert [found[k][0] for k in ("loss", "three", "two", "one")] == pytest.approx([mean, 3 * mean, 2 * mean, mean])
