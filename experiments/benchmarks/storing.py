"""Ways to keep T iterates of P numbers: speed of writing and reading, and what a kill leaves."""

import argparse
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

from trajmap.data.gram import column_blocks
from trajmap.data.layout import Layout
from trajmap.data.store.store import RunHeader
from trajmap.data.trajectory import Trajectory
from trajmap.recording.encoding import DeltaRows
from trajmap.recording.sketch import CountSketch, Sketcher
from trajmap.recording.snapshot import Slot
from trajmap.recording.writer import RunWriter

Rows = Any
Write = Callable[[Path, Rows, Callable[[int], None]], None]
Read = Callable[[Path, int], Any]


def iterates(T: int, P: int) -> Rows:
    """Make iterates that move less and less, as late training does."""
    rng = np.random.default_rng(0)
    theta = rng.standard_normal(P).astype(np.float32)
    rows = []
    for t in range(T):
        theta = theta + np.float32(1e-3 / (t + 1)) * rng.standard_normal(P).astype(np.float32)
        rows.append(theta)
    return rows


def sync(path: Path) -> None:
    """Flush a file to the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def write_trajmap(folder: Path, rows: Rows, done: Callable[[int], None], encoding: Any = None) -> None:
    """Write through trajmap's background writer; an iterate is done when the writer says so."""
    writer = RunWriter(folder, encoding=encoding)
    size = len(rows[0])
    writer.begin(RunHeader(Layout(("w",), ((size,),)), "float32", {}), lambda: Slot(np.empty(size, np.float32)))
    told = 0
    for i, row in enumerate(rows):
        slot = writer.acquire(wait=True)
        assert slot is not None
        slot.theta[:] = row
        writer.write(slot, step=i, scalars={})
        while told < writer.n_written:
            done(told)
            told += 1
    writer.close()
    for i in range(told, len(rows)):
        done(i)


def write_plain(folder: Path, rows: Rows, done: Callable[[int], None]) -> None:
    """One raw file an iterate, flushed: the floor."""
    folder.mkdir()
    for i, row in enumerate(rows):
        with (folder / f"{i:06d}.bin").open("wb") as file:
            file.write(row.data)
            file.flush()
            os.fsync(file.fileno())
        done(i)


def write_torch(folder: Path, rows: Rows, done: Callable[[int], None]) -> None:
    """torch.save at each step, flushed."""
    folder.mkdir()
    for i, row in enumerate(rows):
        torch.save(torch.from_numpy(row), folder / f"{i:06d}.pt")
        sync(folder / f"{i:06d}.pt")
        done(i)


def write_memmap(folder: Path, rows: Rows, done: Callable[[int], None]) -> None:
    """One numpy memmap, flushed after each row."""
    folder.mkdir()
    array = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (len(rows), len(rows[0])))
    for i, row in enumerate(rows):
        array[i] = row
        array.flush()
        done(i)


def write_zarr(folder: Path, rows: Rows, done: Callable[[int], None]) -> None:
    """Write a zarr array, one uncompressed chunk a row with a CRC, flushed."""
    array = zarr.create_array(
        folder,
        shape=(len(rows), len(rows[0])),
        chunks=(1, len(rows[0])),
        dtype="float32",
        compressors=[zarr.codecs.Crc32cCodec()],
        fill_value=np.nan,
    )
    for i, row in enumerate(rows):
        array[i] = row
        sync(folder / "c" / str(i) / "0")
        done(i)


def read_plain(folder: Path, T: int) -> Any:
    """Read columns of raw files in place."""

    class Raw:
        def __getitem__(self, key: Any) -> Any:
            columns = key[1]
            out = np.empty((T, columns.stop - columns.start), np.float32)
            for i in range(T):
                with (folder / f"{i:06d}.bin").open("rb") as file:
                    file.seek(4 * columns.start)
                    file.readinto(out[i].data)
            return out

    return Raw()


def read_torch(folder: Path, T: int) -> Any:
    """Read columns through torch.load with mmap."""

    class Saved:
        def __getitem__(self, key: Any) -> Any:
            return np.stack([torch.load(folder / f"{i:06d}.pt", mmap=True).numpy()[key[1]] for i in range(T)])

    return Saved()


STORES: dict[str, tuple[Write, Read]] = {
    "raw files": (write_plain, read_plain),
    "trajmap": (write_trajmap, lambda folder, T: Trajectory.open(folder).iterates),
    "trajmap delta16": (
        lambda folder, rows, done: write_trajmap(folder, rows, done, DeltaRows()),
        lambda folder, T: Trajectory.open(folder).iterates,
    ),
    "torch.save": (write_torch, read_torch),
    "numpy memmap": (write_memmap, lambda folder, T: np.load(folder / "x.npy", mmap_mode="r")),
    "zarr": (write_zarr, lambda folder, T: zarr.open_array(folder, mode="r")),
}


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def gram(rows: Any, P: int) -> Any:
    """Gram matrix in one pass over blocks of columns."""
    total = 0.0
    for columns in column_blocks(P, 65536):
        block = np.asarray(rows[:, columns])
        total = total + block @ block.T
    return total


def killed(store: str, folder: Path, rows: Rows, *, after: float) -> tuple[int, int, int]:
    """Kill a writer; count acknowledged rows, those of them that are lost, and wrong rows that it shows besides."""
    write, _ = STORES[store]
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write(folder, rows, lambda i: os.write(outlet, b".") and None)
        finally:
            os._exit(0)
    os.close(outlet)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    acknowledged = 0
    while chunk := os.read(inlet, 65536):
        acknowledged += len(chunk)
    os.close(inlet)
    shown = list(SHOWN[store](folder)) if acknowledged > 1 else []
    right = [row is not None and np.array_equal(row, rows[i]) for i, row in enumerate(shown)]
    return acknowledged, acknowledged - sum(right[:acknowledged]) if shown else 0, right[acknowledged:].count(False)


def show_torch(folder: Path) -> Iterator[Any]:
    """Load each file there is; None for one that cannot be read."""
    for path in sorted(folder.glob("*.pt")):
        try:
            yield torch.load(path).numpy()
        except Exception:
            yield None


# what a reader finds after the kill
SHOWN: dict[str, Callable[[Path], Any]] = {
    "trajmap": lambda folder: Trajectory.open(folder).iterates,
    "torch.save": show_torch,
    "numpy memmap": lambda folder: np.load(folder / "x.npy"),
    "zarr": lambda folder: zarr.open_array(folder, mode="r")[:],
}


def sketch_cost(P: int) -> float:
    """Milliseconds for 10⁷ parameters on one thread."""
    sketcher, theta = Sketcher(CountSketch(), P, torch.device("cpu")), [torch.randn(P)]
    sketcher(theta)
    return 1e3 * statistics.median(timed(lambda: sketcher(theta)) for _ in range(7)) * 1e7 / P


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Measure every store, in turn, on one thread.

    Parameters
    ----------
    out : path-like
        Scratch folder, on the disk to measure.
    seed : int
        Unused; the iterates are fixed.
    quick : bool
        Small sizes, for tests.

    Returns
    -------
    dict
        Ratios to raw files, medians over repeats.
    """
    torch.set_num_threads(1)
    T, P, repeats = (8, 20_000, 1) if quick else (60, 1_000_000, 3)
    rows = iterates(T, P)
    seconds: dict[str, dict[str, list[float]]] = {name: {"write": [], "columns": [], "gram": []} for name in STORES}
    sizes = {}
    for repeat in range(repeats):
        for name, (write, read) in STORES.items():
            folder = Path(out) / f"{name}-{repeat}"
            spent = seconds[name]
            spent["write"].append(timed(lambda w=write, f=folder: w(f, rows, lambda i: None)))
            store = read(folder, T)
            layer = slice(P // 2, P // 2 + P // 10)
            spent["columns"] += [timed(lambda s=store, c=layer: np.array(s[:, c])) for _ in range(7)]
            spent["gram"].append(timed(lambda s=store: gram(s, P)))
            sizes[name] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    found = {"sketch_ms_per_1e7": sketch_cost(100_000 if quick else 10_000_000)}
    for name in STORES:
        if name == "raw files":
            continue
        for what in ("write", "columns", "gram"):
            floor = statistics.median(seconds["raw files"][what])
            found[f"{name}: {what} speed / raw"] = floor / statistics.median(seconds[name][what])
        found[f"{name}: size / raw"] = sizes[name] / sizes["raw files"]
    for name in [] if quick else SHOWN:
        counts = [killed(name, Path(out) / f"kill-{name}-{i}", rows, after=0.1 + 0.02 * i) for i in range(10)]
        told, lost, wrong = (sum(column) for column in zip(*counts, strict=True))
        found[f"{name}: lost of {told} acknowledged, 10 kills"] = float(lost)
        found[f"{name}: rows shown that are none, 10 kills"] = float(wrong)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--disk", default=None, help="folder on the disk to measure")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().disk) as scratch:
        for name, value in main(Path(scratch)).items():
            print(f"{name:<48} {value:.3g}")
