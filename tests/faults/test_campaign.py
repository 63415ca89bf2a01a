"""Kills, full disks, flipped bits, cuts and fuzzed headers in numbers: nothing lost, nothing wrong, nothing hung."""

import contextlib
import json
import os
import random
import signal
import time
import warnings

import numpy as np
import pytest
import torch

from trajmap.data.results.landscape import Grid
from trajmap.data.store.store import RunHeader, read_iterate_file
from trajmap.data.trajectory import Trajectory
from trajmap.errors import RunFormatError
from trajmap.recording.recorder import Recorder
from trajmap.recording.sketch import CountSketch

FORMATS = {
    "float32": {},
    "bfloat16": {},
    "delta16": {"dtype": "delta16"},
    "budget": {"budget": 400_000},
    "sketch": {"sketch": CountSketch(16)},
}
SIZE = 700


def weights(step, name="float32"):
    """Weights of a step: a straight way with a bend, the same in every process."""
    first, second = np.random.default_rng(0).standard_normal((2, SIZE))
    theta = torch.from_numpy(first + 1e-3 * step * second + 1e-2 * np.sin(step)).float()
    return theta.to(torch.bfloat16) if name == "bfloat16" else theta


class Holder(torch.nn.Module):
    def __init__(self, name="float32"):
        super().__init__()
        self.w = torch.nn.Parameter(weights(0, name))

    def go_to(self, step):
        with torch.no_grad():
            self.w.copy_(weights(step, "bfloat16" if self.w.dtype == torch.bfloat16 else "float32"))


def session(folder, name, first, told):
    """Child: go on from a step, and name each step whose iterate the recorder says is on the disk."""
    warnings.simplefilter("ignore")
    model = Holder(name)
    recorder = Recorder(model, folder, resume=True, **FORMATS[name])
    for step in range(first, first + 10_000):
        model.go_to(step)
        recorder.record({"value": float(step)}, step=step)
        if step % 3 == 0:
            recorder.flush()
            os.write(told, b"%d " % step)


def kill_a_session(folder, name, first, seconds):
    """Run a session in a process of its own and kill it; the steps that were acknowledged."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            session(folder, name, first, write)
        finally:
            os._exit(1)
    os.close(write)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == -signal.SIGKILL, "the session was alive until it was killed"
    with os.fdopen(read, "rb") as stream:
        words = stream.read().split(b" ")
    return [int(word) for word in words[:-1]]


def is_right(theta, step, name):
    if name == "sketch":
        return bool(np.isfinite(theta).all())
    error = np.abs(theta - weights(step, name).float().numpy()).max()
    return error <= (2e-6 if name == "delta16" else 0)


def judge_killed(folder, name, acknowledged, tally):
    """Compare what is there with what was acknowledged, and with what was written."""
    run = Trajectory.open(folder, verify=True)
    steps = run.steps.tolist()
    if name != "budget":  # which removes some on purpose
        tally.lost += len(set(acknowledged) - set(steps))
    elif acknowledged:
        tally.lost += acknowledged[0] not in steps or max(acknowledged) > steps[-1]
    tally.wrong += run.scalars["value"].tolist() != steps
    tally.wrong += sum(not is_right(theta, step, name) for theta, step in zip(run.iterates, steps, strict=True))
    tally.wrong += bool(run.history.dropped)
    return steps


@pytest.mark.parametrize("name", FORMATS)
def test_killed_and_resumed(name, tmp_path, tally, tries):
    """Sessions of one run are killed one after the other; each goes on after the last iterate that is there."""
    found, dice = tally(f"kills, {name}"), random.Random(name)
    runs, kills = tries((1, 3), (20, 5))
    for trial in range(runs):
        folder, acknowledged, first = tmp_path / str(trial), [], 0
        for _ in range(kills):
            with found.attempt():
                acknowledged += kill_a_session(folder, name, first, dice.uniform(0.05, 0.35))
                if len(acknowledged) > 1:
                    first = judge_killed(folder, name, acknowledged, found)[-1] + 1
        assert acknowledged, "the kills came after something was recorded"
    found.require_nothing()


def train(folder, steps, name, **options):
    """Record by hand as a training would, and give back where the weights end."""
    model = Holder(name)
    with Recorder(model, folder, **FORMATS[name], **options) as recorder:
        for step in steps:
            model.go_to(step)
            recorder.record({"value": float(step)}, step=step)
    return model.w.detach().clone()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "delta16"])
def test_full_disks(name, small_disk, tally, tries):
    """A real file system fills at any point; made larger, the run goes on."""
    found, dice = tally(f"full disks, {name}"), random.Random(name)
    for _ in range(tries(6, 67)):
        disk = small_disk(kilobytes := dice.randrange(20, 160))
        with found.attempt(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            end = train(disk / "run", range(60), name)
            found.wrong += not torch.equal(end, weights(59, name))
            judge_prefix(disk / "run", name, found)
            found.wrong += bool(list((disk / "run").rglob("*.part")))
            small_disk(kilobytes + 2000, again=disk)
            train(disk / "run", range(40, 60), name, resume=True)
            run = Trajectory.open(disk / "run", verify=True)
            found.lost += run.steps.tolist()[-20:] != list(range(40, 60))
            found.wrong += sum(not is_right(t, s, name) for t, s in zip(run.iterates, run.steps, strict=True))
    found.require_nothing()


def judge_prefix(folder, name, tally):
    run = Trajectory.open(folder, verify=True)
    tally.lost += run.steps.tolist() != list(range(run.n_iterates))
    tally.wrong += sum(not is_right(t, s, name) for t, s in zip(run.iterates, run.steps, strict=True))


def damaged_files(folder, dice, damage, many):
    """Damage one file of a run after the other, and mend it again."""
    files = sorted((folder / "iterates").iterdir())
    for _ in range(many):
        place = dice.randrange(len(files))
        content = files[place].read_bytes()
        files[place].write_bytes(damage(content, dice))
        yield place
        files[place].write_bytes(content)


def flip(content, dice):
    damaged = bytearray(content)
    damaged[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def cut(content, dice):
    return content[: dice.randrange(len(content))]


@pytest.mark.parametrize("name", ["float32", "bfloat16", "delta16"])
@pytest.mark.parametrize(("damage", "numbers"), [(flip, (60, 667)), (cut, (30, 167))])
def test_damaged_files(name, damage, numbers, tmp_path, tally, tries):
    """What a run gives by default after damage is what was written, and what it leaves out is named."""
    found, dice = tally(f"{damage.__name__}s, {name}"), random.Random(name)
    train(tmp_path / "run", range(20), name)
    whole = Trajectory.open(tmp_path / "run").iterates[:]
    for place in damaged_files(tmp_path / "run", dice, damage, tries(*numbers)):
        with found.attempt(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = Trajectory.open(tmp_path / "run")
            found.wrong += not np.array_equal(run.iterates[:], whole[run.steps])
            gone = sorted(set(range(20)) - set(run.steps.tolist()))
            after = 16 * (place // 16 + 1) if name == "delta16" else place + 1
            found.lost += not set(gone) <= set(range(place, after))
            found.wrong += bool(gone) and f"{place:012d}" not in run.history.dropped[0]
    found.require_nothing()


def test_flips_in_the_run_header_and_in_artefacts(tmp_path, tally, tries):
    found, dice = tally("flips, run.json and artefacts"), random.Random(3)
    train(tmp_path / "run", range(3), "float32")
    path, header = tmp_path / "run" / "run.json", RunHeader.read(tmp_path / "run")
    grid = Grid((np.arange(5.0), np.arange(7.0)))
    artefact = grid.save(tmp_path / "grid.npz")

    def same(noun):
        return all(map(np.array_equal, noun.axes, grid.axes))

    attacks = [
        (path, lambda: RunHeader.read(path.parent) == header),
        (artefact, lambda: same(Grid.open(artefact))),
    ]
    for _ in range(tries(100, 1000)):
        for file, is_same in attacks:
            content = file.read_bytes()
            file.write_bytes(flip(content, dice))
            with found.attempt(), contextlib.suppress(RunFormatError):
                found.wrong += not is_same()
            file.write_bytes(content)
    found.require_nothing()


def fuzzed(content, dice):
    """A header that is none: bytes replaced, inserted or removed, a length that lies, values of other kinds."""
    length = int.from_bytes(content[:8], "little")
    text, rest = bytearray(content[8 : 8 + length]), content[8 + length :]
    kind = dice.randrange(5)
    if kind == 0:
        return (
            dice.choice([0, 7, length - 1, length + 1, 95_000_000, 2**63, 2**64 - 1]).to_bytes(8, "little")
            + content[8:]
        )
    if kind == 1:
        for _ in range(dice.randrange(1, 9)):
            text[dice.randrange(len(text))] = dice.randrange(256)
    elif kind == 2:
        place = dice.randrange(len(text))
        text[place : place + dice.randrange(3)] = dice.randbytes(dice.randrange(1, 5))
    elif kind == 3:
        entry = json.loads(text)
        notes = entry["__metadata__"]
        notes[dice.choice(list(notes))] = dice.choice([
            "",
            "-1",
            "1e999",
            "[]",
            "{}",
            "null",
            None,
            3,
            [],
            {},
            "9" * 5000,
        ])
        text = bytearray(json.dumps(entry).encode())
    else:
        text = bytearray(b"[" * dice.randrange(1, 100_000))
    return len(text).to_bytes(8, "little") + bytes(text) + rest


def test_fuzzed_headers(tmp_path, tally, tries):
    found, dice = tally("fuzzed headers"), random.Random(4)
    train(tmp_path / "run", range(3), "float32")
    header = RunHeader.read(tmp_path / "run")
    path = tmp_path / "run" / "iterates" / "000000000001.safetensors"
    content, entry = path.read_bytes(), read_iterate_file(path, header)
    for _ in range(tries(500, 10_000)):
        path.write_bytes(fuzzed(content, dice))
        with found.attempt(), contextlib.suppress(RunFormatError):
            again = read_iterate_file(path, header)
            again.verify()
            theta = np.empty(SIZE, np.float32)
            again.read(0, theta)
            found.wrong += again.notes != entry.notes or not np.array_equal(theta, weights(1).numpy())
    found.require_nothing()
