"""What recording costs: the hook beside a 10 ms step, the writer beside a plain durable write of the same bytes."""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trajmap.data.layout import Layout
from trajmap.data.store.store import RunHeader
from trajmap.recording.recorder import Recorder
from trajmap.recording.snapshot import Slot
from trajmap.recording.writer import RunWriter


def make(size: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Build a network of about `size` parameters in twenty tensors."""
    width = int((size / 10) ** 0.5)
    model = torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(10)))
    return model, torch.optim.SGD(model.parameters(), lr=1e-3)


def hook_cost(folder: Path, *, size: int, steps: int) -> dict[str, float]:
    """Time a step of about 10 ms with and without an attached recorder, alternately, and the hook by itself."""
    model, optimizer = make(size)
    x = torch.randn(128, model[0].in_features)

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        return time.perf_counter() - start

    # warm up, then make a step 10 ms long by sleeping the rest: the hook is what is measured, not the network
    for _ in range(5):
        step()
    hook: list[float] = []
    began = [0.0]
    before = optimizer.register_step_post_hook(lambda *_: began.__setitem__(0, time.perf_counter()))
    with Recorder(model, folder / "hook").attach(optimizer):
        # hooks run in the order in which they came: one on each side of the recorder's
        after = optimizer.register_step_post_hook(lambda *_: hook.append(time.perf_counter() - began[0]))
        for _ in range(steps):
            time.sleep(max(0.0, 0.010 - step()))
    before.remove()
    after.remove()
    source, target, copies = np.ones(size, np.float32), np.ones(size, np.float32), []
    for _ in range(steps):
        step()  # the step drives both out of the cache, as it does for the hook
        start = time.perf_counter()
        np.copyto(target, source)
        copies.append(time.perf_counter() - start)
    median, copy = statistics.median(hook), statistics.median(copies)
    return {
        "hook_ms": 1e3 * median,
        "hook_share_of_10_ms": median / 0.010,
        "hook_worst_ms": 1e3 * max(hook),
        "memcpy_ms": 1e3 * copy,
        "hook_over_memcpy": median / copy,
    }


def peak_memory(folder: Path, *, size: int, steps: int) -> float:
    """Most memory that recording takes beyond the loop's own, in iterates."""
    model, optimizer = make(size)
    x = torch.randn(8, model[0].in_features)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    small = torch.nn.Linear(2, 2)
    with Recorder(small, folder / "small") as recorder:  # what a first use costs once, as a thread's stack
        recorder.record()
    for _ in range(3):
        step()
    iterate = 4 * sum(p.numel() for p in model.parameters())
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    with Recorder(model, folder / "memory").attach(optimizer):
        for _ in range(steps):
            step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before) / iterate


def writer_speed(folder: Path, *, size: int, n: int) -> dict[str, float]:
    """Write n iterates by the writer, and the same bytes by open, write, fsync, close."""
    theta = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    plain = folder / "plain"
    plain.mkdir()

    def by_hand(i: int) -> None:
        with (plain / f"{i}.bin").open("wb") as file:
            file.write(theta.data)
            file.flush()
            os.fsync(file.fileno())

    writer = RunWriter(folder / "run")
    writer.begin(RunHeader(Layout(("w",), ((size,),)), "float32", {}), lambda: Slot(np.empty(size, np.float32)))

    def by_writer(i: int) -> None:
        slot = writer.acquire(wait=True)
        assert slot is not None
        slot.theta[:] = theta
        writer.write(slot, step=i, scalars={})

    seconds = {"plain": 0.0, "writer": 0.0}
    block = max(1, n // 5)
    for first in range(0, n, block):  # in turn, so that a disk that changes its pace changes both
        start = time.perf_counter()
        for i in range(first, first + block):
            by_hand(i)
        middle = time.perf_counter()
        for i in range(first, first + block):
            by_writer(i)
        writer.flush()
        seconds["plain"] += middle - start
        seconds["writer"] += time.perf_counter() - middle
    writer.close()
    megabytes = size * 4 * n / 1e6
    return {
        "plain_MB_per_s": megabytes / seconds["plain"],
        "writer_MB_per_s": megabytes / seconds["writer"],
        "writer_over_plain": seconds["plain"] / seconds["writer"],
    }


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, Any]:
    """Run both measurements on one thread.

    Parameters
    ----------
    out : path-like
        Scratch folder, on the disk to measure.
    seed : int
        Seed of the network.
    quick : bool
        Small sizes, for tests.

    Returns
    -------
    dict
        Milliseconds, megabytes a second and ratios.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    size, steps, n = (10_000, 10, 5) if quick else (1_000_000, 200, 100)
    peak = peak_memory(Path(out), size=10_000 if quick else 20_000_000, steps=6)  # first: a peak is never taken back
    return {
        "peak_memory_iterates": peak,
        **hook_cost(Path(out), size=size, steps=steps),
        **writer_speed(Path(out), size=size, n=n),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--disk", default=None, help="folder on the disk to measure")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().disk) as folder:
        for name, value in main(Path(folder)).items():
            print(f"{name:<24} {value:.4g}")
