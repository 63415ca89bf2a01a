"""What is stored of an iterate: buffers beside it, 16-bit differences, norms, selections."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from trajmap.data.store.delta16 import decode, encode
from trajmap.data.store.store import iterate_path
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.recording.recorder import Recorder
from trajmap.recording.selections import lora, matching
from trajmap.reduction.rowspace import RowSpace


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 40), torch.nn.BatchNorm1d(40), torch.nn.Tanh(), torch.nn.Linear(40, 150)
    )


def train(folder, steps, *, model=None, watch=None, lr=0.05, **options):
    model = network() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    with Recorder(model, folder, **options).attach(optimizer) as recorder:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = model(torch.randn(16, 3, generator=generator)).square().mean()
            loss.backward()
            optimizer.step()
            recorder.record({"loss": loss.item()})
            if watch is not None:
                watch(model)
    return Trajectory.open(folder)


def test_an_iterate_can_be_evaluated_as_it_was(tmp_path):
    """Parameters alone would meet the running statistics of another time; with the buffers every bit agrees."""
    x, outputs = torch.randn(5, 3), []

    def watch(model):
        model.eval()
        outputs.append(model(x).detach().clone())
        model.train()

    run = train(tmp_path / "run", 6, watch=watch)
    model = network().eval()
    for i, expected in enumerate(outputs, start=1):
        state = {**run.layout.split(run.theta(i)), **run.buffers(i)}
        found = functional_call(model, {name: torch.tensor(array) for name, array in state.items()}, x)
        assert torch.equal(found, expected)
    assert run.buffers(-1)["1.num_batches_tracked"] == 6
    assert run.select("0.*").buffers(2)["1.num_batches_tracked"] == 2
    assert train(tmp_path / "without", 2, buffers=False).buffers(1) == {}
    assert Trajectory.of(np.zeros((2, 3))).buffers(0) == {}


def test_half_precision_buffers_widen(tmp_path):
    model = torch.nn.BatchNorm1d(3).to(torch.bfloat16)
    model.running_mean.copy_(torch.tensor([1.5, -2, 3]))
    with Recorder(model, tmp_path / "run") as recorder:
        recorder.record()
        recorder.record()
    assert Trajectory.open(tmp_path / "run").buffers(1)["running_mean"].tolist() == [1.5, -2, 3]


def test_norms_are_those_of_the_step(tmp_path):
    gradients = []

    def watch(model):
        gradients.append(np.concatenate([p.grad.numpy().ravel() for p in model.parameters()]))

    run = train(tmp_path / "run", 5, norms=True, watch=watch)
    np.testing.assert_allclose(run.scalars["grad_norm"][1:], np.linalg.norm(gradients, axis=1), rtol=1e-6)
    steps = np.linalg.norm(np.diff(run.iterates[:].astype(float), axis=0), axis=1)
    np.testing.assert_allclose(run.scalars["update_norm"][1:], steps, rtol=1e-6)
    assert np.isnan(run.scalars["grad_norm"][0])


def test_selections(tmp_path):
    run = train(tmp_path / "run", 2, select=matching("3.*"))
    assert run.layout.names == ("3.weight", "3.bias")
    adapted = torch.nn.ModuleDict({"base": torch.nn.Linear(3, 3), "lora_A": torch.nn.Linear(3, 1, bias=False)})
    adapted["base"].requires_grad_(False)
    with Recorder(adapted, tmp_path / "lora", select=lora) as recorder:
        recorder.record()
        recorder.record()
    assert Trajectory.open(tmp_path / "lora").layout.names == ("lora_A.weight",)
    with pytest.raises(InputError, match="patterns: expected at least one shell pattern"):
        matching()
    with pytest.raises(InputError, match="select: expected at least one"):
        Recorder(network(), tmp_path / "none", select=matching("nothing.*"))


@pytest.mark.parametrize("lr", [0.05, 1e-5])
def test_sixteen_bit_differences_keep_the_steps(tmp_path, lr):
    """Also where a step is 1e-6 of the norm, which rounding the iterates to 16 bits would wipe out."""
    exact, coded = train(tmp_path / "exact", 40, lr=lr), train(tmp_path / "coded", 40, lr=lr, dtype="delta16")
    a, b = exact.iterates[:].astype(float), coded.iterates[:].astype(float)
    steps = np.diff(a, axis=0)
    error = np.linalg.norm(np.diff(b, axis=0) - steps, axis=1) / np.linalg.norm(steps, axis=1)
    halves = a.astype(np.float16).astype(float)
    naive = np.linalg.norm(np.diff(halves, axis=0) - steps, axis=1) / np.linalg.norm(steps, axis=1)
    assert error.max() < (1e-3 if lr == 0.05 else 0.02)  # at 1e-5 float32 itself rounds the steps by percents
    assert naive.max() > (0.1 if lr == 0.05 else 10)
    # the printed error is the distance to what is stored over the step to it
    told = np.linalg.norm(b - a, axis=1)[1:] / np.linalg.norm(a[1:] - b[:-1], axis=1)
    np.testing.assert_allclose(coded.scalars["delta16_error"][1:], told, rtol=1e-5, atol=1e-12)
    # no drift: the last rows are as near as the first
    distance = np.linalg.norm(b - a, axis=1)
    assert distance[-5:].max() <= 2 * distance[1:6].max() + 1e-6


def test_differences_are_read_alike_by_rows_columns_and_blocks(tmp_path):
    run = train(tmp_path / "run", 40, dtype="delta16")
    whole = np.asarray(run.iterates)
    for i in (40, 0, 17, 16, 15, 33):
        np.testing.assert_array_equal(run.theta(i), whole[i])
    P = run.size
    for columns in (slice(0, 7), slice(4000, 4200), slice(P - 5, P), slice(0, P)):
        np.testing.assert_array_equal(run.iterates[:, columns], whole[:, columns])
        np.testing.assert_array_equal(run.iterates[[39, 3, 21], columns], whole[[39, 3, 21], columns])
    np.testing.assert_array_equal(np.stack(list(run.iterates)), whole)
    np.testing.assert_array_equal(run.thin(7).iterates[:], whole[::7])
    narrow = run.select("*.bias")
    np.testing.assert_array_equal(
        narrow.iterates[:], np.concatenate([whole[:, run.layout.slices[n]] for n in narrow.layout.names], axis=1)
    )
    np.testing.assert_array_equal(run.buffers(20)["1.num_batches_tracked"], 20)
    run.iterates.verify()
    X = RowSpace().fit_transform(run.iterates)
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(X, axis=0), axis=1),
        np.linalg.norm(np.diff(whole.astype(float), axis=0), axis=1),
        rtol=1e-6,
    )


def test_differences_are_half_the_size(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Linear(300, 300)
    sizes = {}
    for dtype in ("native", "delta16"):
        with Recorder(model, tmp_path / dtype, dtype=dtype) as recorder:
            for _ in range(32):
                with torch.no_grad():
                    model.weight += 1e-3 * torch.randn(300, 300)
                recorder.record()
        sizes[dtype] = sum(p.stat().st_size for p in (tmp_path / dtype / "iterates").iterdir())
    assert sizes["native"] / sizes["delta16"] > 1.8


def test_a_lost_difference_takes_those_built_on_it_along(tmp_path):
    run = train(tmp_path / "run", 40, dtype="delta16")
    whole = np.asarray(run.iterates)
    iterate_path(tmp_path / "run", 20).unlink()
    with pytest.warns(
        RuntimeWarning,
        match=r"dropped 12 damaged of 41 .*: 000000000020: missing; 000000000021: expected the iterate on which it",
    ):
        found = Trajectory.open(tmp_path / "run")
    keep = [*range(20), *range(32, 41)]
    assert found.steps.tolist() == keep
    np.testing.assert_array_equal(found.iterates[:], whole[keep])


def test_broken_iterates_are_stored_whole(tmp_path):
    model = torch.nn.Linear(3, 2)
    expected = []
    with Recorder(model, tmp_path / "run", dtype="delta16") as recorder:
        for i in range(6):
            with torch.no_grad():
                model.weight += 0.1
                if i == 3:
                    model.bias[1] = float("nan")
                if i == 4:
                    model.bias[1] = 2.0
            recorder.record()
            expected.append(np.concatenate([p.detach().numpy().ravel() for p in model.parameters()]))
    run = Trajectory.open(tmp_path / "run")
    assert run.is_finite.tolist() == [True] * 3 + [False] + [True] * 2
    np.testing.assert_allclose(run.iterates[:], expected, atol=1e-5)
    np.testing.assert_array_equal(run.theta(3), expected[3])


def test_differences_need_float32(tmp_path):
    with pytest.raises(InputError, match="dtype: expected float32 parameters for delta16, got float64"):
        Recorder(torch.nn.Linear(2, 2).double(), tmp_path / "run", dtype="delta16")
    with pytest.raises(InputError, match="dtype: expected one of 'native', 'delta16', got float16"):
        Recorder(torch.nn.Linear(2, 2), tmp_path / "run", dtype="float16")


def test_encode_reaches_half_a_unit():
    rng = np.random.default_rng(0)
    base = rng.standard_normal(10_000).astype(np.float32)
    theta = (base + rng.standard_normal(10_000) * 10.0 ** rng.uniform(-6, 0, 10_000)).astype(np.float32)
    theta[4096:8192] = base[4096:8192]  # a block that did not move
    delta, scales = encode(theta, base)
    assert scales[1] == 0
    out = base.copy()
    decode(out, delta, scales)
    units = np.repeat(scales, 4096)[:10_000].astype(float)
    # half a unit, and what float32 rounds
    assert (np.abs(out.astype(float) - theta) <= 0.5 * units + 2e-7 * np.maximum(np.abs(base), np.abs(theta))).all()
    np.testing.assert_array_equal(out[4096:8192], base[4096:8192])
