"""Runs of half-precision models keep their 16 bits: every pattern comes back, at half the bytes."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from trajmap.data.store.iterates import Iterates
from trajmap.data.store.store import iterate_path
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError
from trajmap.recording.recorder import Recorder

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def every_pattern(dtype):
    """All 65536 numbers of 16 bits: both zeros, subnormal ones, inf, and each NaN."""
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    return patterns.view(dtype).clone()


def record(folder, *states, **options):
    model = torch.nn.Module()
    model.w = torch.nn.Parameter(states[0].clone())
    with Recorder(model, folder, **options) as recorder:
        for state in states:
            with torch.no_grad():
                model.w.copy_(state)
            recorder.record()
    return Trajectory.open(folder)


@pytest.mark.parametrize("name", HALVES)
def test_every_bit_pattern_comes_back(name, tmp_path):
    state = every_pattern(HALVES[name])
    with np.errstate(invalid="ignore"):
        run = record(tmp_path / "run", state, state.flip(0))
    kept = load_file(iterate_path(tmp_path / "run", 1))["w"]  # as another library reads the file
    assert kept.dtype == HALVES[name]
    assert torch.equal(kept.view(torch.int16), state.flip(0).view(torch.int16))
    assert run.header.dtype == name
    assert run.iterates.dtype == np.float32
    read, expected = torch.from_numpy(run.theta(0)), state.float()
    nan = torch.isnan(expected)
    assert torch.equal(torch.isnan(read), nan)
    assert torch.equal(read[~nan].view(torch.int32), expected[~nan].view(torch.int32)), "the sign of zero too"
    assert not run.is_finite.any()
    broken = run.iterates.row(0).file.notes.broken
    assert broken == int((~torch.isfinite(state)).sum())


@pytest.mark.parametrize("name", HALVES)
def test_half_the_bytes(name, tmp_path):
    sizes = {}
    for dtype in (HALVES[name], torch.float32):
        torch.manual_seed(0)
        record(tmp_path / str(dtype), *torch.randn(2, 50_000).to(dtype))
        sizes[dtype] = iterate_path(tmp_path / str(dtype), 0).stat().st_size
    assert sizes[HALVES[name]] - 300 < sizes[torch.float32] / 2 < sizes[HALVES[name]] + 300


def test_columns_rows_and_copies_of_a_half_precision_run(tmp_path):
    torch.manual_seed(0)
    states = torch.randn(4, 1000).to(torch.bfloat16)
    run = record(tmp_path / "run", *states)
    expected = states.float().numpy()
    np.testing.assert_array_equal(run.iterates[:, 100:200], expected[:, 100:200])
    np.testing.assert_array_equal(list(run.iterates), expected)
    run.iterates.verify()
    run.save(tmp_path / "copy")
    assert (
        iterate_path(tmp_path / "copy", 2).read_bytes()[-2000:]
        == iterate_path(tmp_path / "run", 2).read_bytes()[-2000:]
    )
    stacked = Iterates.stack([run.iterates, record(tmp_path / "wide", *states.float() / 3).iterates])
    assert stacked.stored == "float32"
    np.testing.assert_array_equal(stacked[:], np.concatenate([expected, states.float().numpy() / np.float32(3)]))


@pytest.mark.parametrize(
    ("dtypes", "stored"),
    [
        (("bfloat16", "bfloat16"), "bfloat16"),
        (("bfloat16", "float16"), "float32"),
        (("float16", "float32"), "float32"),
        (("bfloat16", "float64"), "float64"),
    ],
)
def test_mixed_parameters_are_promoted_without_loss(dtypes, stored, tmp_path):
    model = torch.nn.ParameterList([torch.randn(5).to(getattr(torch, dtype)) for dtype in dtypes])
    with Recorder(model, tmp_path / "run") as recorder:
        recorder.record()
        recorder.record()
    run = Trajectory.open(tmp_path / "run")
    assert run.header.dtype == stored
    np.testing.assert_array_equal(run.theta(0), torch.cat([p.detach().double() for p in model]).numpy())


def test_resumed_in_the_same_format_only(tmp_path):
    state = torch.ones(3, dtype=torch.bfloat16)
    record(tmp_path / "run", state, state)
    run = record(tmp_path / "run", 2 * state, 3 * state, resume=True)
    np.testing.assert_array_equal(run.iterates[:, :1].ravel(), [1, 1, 2, 3])
    with pytest.raises(LayoutError, match="dtype float32, got bfloat16"):
        record(tmp_path / "run", state.float(), resume=True)


def test_differences_of_16_bits_are_no_gain(tmp_path):
    with pytest.raises(InputError, match="float32 parameters for delta16, got bfloat16 parameters; repair: omit dtype"):
        record(tmp_path / "run", torch.ones(3, dtype=torch.bfloat16), dtype="delta16")


def test_norms_of_small_steps(tmp_path):
    """The distance is that of the numbers that are stored, and is not itself rounded to 16 bits."""
    torch.manual_seed(0)
    model = torch.nn.Linear(30, 20).to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with Recorder(model, tmp_path / "run", norms=True).attach(optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(8, 30, dtype=torch.bfloat16)).square().mean().backward()
            optimizer.step()
    run = Trajectory.open(tmp_path / "run")
    steps = np.linalg.norm(np.diff(run.iterates[:].astype(float), axis=0), axis=1)
    np.testing.assert_allclose(run.scalars["update_norm"][1:], steps, rtol=1e-6)


RECORDING = """
    model = torch.nn.Module()
    model.w = torch.nn.Parameter(torch.ones(P, dtype=torch.bfloat16))
    start = peak()
    with Recorder(model, folder) as recorder:
        for _ in range(4):
            recorder.record()
"""
READING = """
    start = peak()
    for row in Trajectory.open(folder).iterates:
        assert float(row[-1]) == 1.0
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::trajmap.errors.DiskWarning")
@pytest.mark.parametrize(("code", "most"), [(RECORDING, 3 * 2 + 1), (READING, 2 * 4 + 1)], ids=["recording", "reading"])
def test_few_copies_in_memory(code, most, tmp_path):
    """Three slots of two bytes a parameter while recording; one row of four while reading, and that of the loop."""
    before = """
    import resource, sys, torch
    unit = 1 if sys.platform == "darwin" else 1024
    from trajmap.data.trajectory import Trajectory
    from trajmap.recording.recorder import Recorder
    P, folder = 30_000_000, sys.argv[1]
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    """
    if code is READING:
        record(tmp_path / "run", *torch.ones(4, 30_000_000, dtype=torch.bfloat16))
    script = textwrap.dedent(before) + textwrap.dedent(code) + "print((peak() - start) / P)"
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(told) < most, f"{told} bytes a parameter"
