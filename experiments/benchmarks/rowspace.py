"""Row space against one BLAS product over the same bytes, and against scikit-learn; memory of a stream."""

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from trajmap.data.layout import Layout
from trajmap.data.store.store import Notes, RunHeader, iterate_path, write_iterate
from trajmap.data.trajectory import Trajectory
from trajmap.reduction.rowspace import RowSpace


def walk(T: int, P: int) -> Any:
    """Draw iterates in float32."""
    rng = np.random.default_rng(0)
    return np.cumsum(rng.standard_normal((T, P), dtype=np.float32), axis=0, dtype=np.float32)


def seconds(function: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak(function: Callable[[], Any]) -> float:
    """Bytes that a call adds to the process at its peak, in a process of its own."""

    def child(pipe: Any) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        function()
        unit = 1.0 if sys.platform == "darwin" else 1024.0
        pipe.send(unit * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))

    inlet, outlet = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=child, args=(outlet,))
    process.start()
    found: float = inlet.recv()
    process.join()
    return found


def write_run(folder: Path, T: int, P: int) -> None:
    """Write a long run of which no more than one row is ever in memory."""
    rng, theta = np.random.default_rng(0), np.zeros(P, np.float32)
    header = RunHeader(Layout(("w",), ((P,),)), "float32", {})
    header.write(folder)
    for i in range(T):
        theta += rng.standard_normal(P, dtype=np.float32)
        write_iterate(iterate_path(folder, i), header, theta, Notes(i, {}))


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Measure on one thread.

    Parameters
    ----------
    out : path-like
        Scratch folder.
    seed : int
        Unused; the iterates are fixed.
    quick : bool
        Small sizes, for tests.

    Returns
    -------
    dict
        Ratios and bytes.
    """
    T, P, repeats = (50, 20_000, 1) if quick else (1000, 1_000_000, 3)
    X = walk(T, P)
    contenders = {
        "product": lambda: X @ X.T,
        "row space": lambda: RowSpace(n_components=10).fit_transform(X),
        "PCA randomized": lambda: PCA(10, svd_solver="randomized", random_state=0).fit_transform(X),
        "PCA full": lambda: PCA(10, svd_solver="full").fit_transform(X),
    }
    found = {}
    for name, function in contenders.items():
        # scikit-learn's full solver takes minutes, and its time does not matter where randomized is faster
        runs = [seconds(function) for _ in range(1 if name.startswith("PCA") else repeats)]
        found[f"{name}: seconds"] = statistics.median(runs)
        found[f"{name}: peak memory / array"] = peak(function) / X.nbytes
    best = min(found["PCA randomized: seconds"], found["PCA full: seconds"])
    found["row space / product"] = found["row space: seconds"] / found["product: seconds"]
    found["scikit-learn / row space"] = best / found["row space: seconds"]
    long = (60, 5_000) if quick else (5000, 1_000_000)
    write_run(Path(out) / "long", *long)
    stream = lambda: RowSpace(n_components=10).fit_transform(Trajectory.open(Path(out) / "long").iterates)  # ruff: ignore[lambda-assignment]
    found["streamed T=5000: peak GiB"] = peak(stream) / 2**30
    found["streamed T=5000: seconds"] = seconds(stream)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--disk", default=None, help="folder with 20 GB to spare")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().disk) as scratch:
        for name, value in main(Path(scratch)).items():
            print(f"{name:<40} {value:.3g}", flush=True)
