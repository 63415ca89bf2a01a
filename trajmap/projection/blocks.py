"""Long work in blocks: here, in other processes, or on a cluster; each finished block is kept, so that work resumes."""

import concurrent.futures
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import cloudpickle
import numpy as np
import torch

from trajmap._validation import Array, worded
from trajmap.errors import InputError

__all__ = ["Work", "run_blocks"]

Outputs = dict[str, Array]


class Work(Protocol):
    """What is done with a block of points: named arrays with one entry a point."""

    def __call__(self, points: Array) -> Outputs:
        """Do it."""


def run_blocks(
    work: Work,
    points: Array,
    *,
    block: int,
    executor: concurrent.futures.Executor | None = None,
    out: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outputs:
    """Do work on all points, block by block.

    Parameters
    ----------
    work : callable
        ``work(points) -> {name: array with one entry a point}``.
    points : numpy.ndarray, shape (n, d)
        The points.
    block : int
        Points a block.
    executor : concurrent.futures.Executor, optional
        Where: a process pool, ``dask.distributed.Client(...).get_executor()``, or any other. The work is written
        to a file once and read once a process, so a task carries no more than its points; workers must see the
        same file system. Here and now by default.
    out : pathlib.Path, optional
        Folder for finished blocks. Blocks of the same work that are there are not done again; when all is done
        the folder is removed.
    progress : callable, optional
        Called with the number of points done since the last call.

    Returns
    -------
    dict of str to numpy.ndarray
        Outputs of all points, in order: the same bytes whatever the executor, given as many threads.

    Raises
    ------
    InputError
        If the folder holds blocks of other work.
    """
    payload = cloudpickle.dumps(work)
    starts = list(range(0, len(points), block))
    store = _Store(out, payload, points, block)
    done = {start: store.load(start) for start in starts}
    missing = [start for start in starts if done[start] is None]
    for start in starts:
        if done[start] is not None and progress is not None:
            progress(len(points[start : start + block]))
    if executor is None:
        for start in missing:
            done[start] = store.save(start, work(points[start : start + block]))
            if progress is not None:
                progress(len(points[start : start + block]))
    else:
        tasks = {start: points[start : start + block] for start in missing}
        for start, outputs in _submitted(executor, payload, tasks):
            done[start] = store.save(start, outputs)
            if progress is not None:
                progress(len(tasks[start]))
    parts = [part for start in starts if (part := done[start]) is not None]
    store.clear()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _submitted(
    executor: concurrent.futures.Executor, payload: bytes, tasks: dict[int, Array]
) -> Iterator[tuple[int, Outputs]]:
    """Hand the tasks out and yield their outputs as they come."""
    folder = Path(tempfile.mkdtemp(prefix="trajmap-"))
    try:
        path = folder / "work.pickle"
        path.write_bytes(payload)
        threads = torch.get_num_threads()
        futures = {executor.submit(_remote, os.fspath(path), points, threads): start for start, points in tasks.items()}
        waiting = set(futures)
        while waiting:  # dask's futures are not those that concurrent.futures.as_completed knows
            ready = {future for future in waiting if future.done()} or {next(iter(waiting))}
            for future in ready:
                yield futures[future], future.result()
            waiting -= ready
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remote(path: str, points: Array, threads: int) -> Outputs:
    torch.set_num_threads(threads)
    return _read(path)(points)


@functools.lru_cache(maxsize=1)
def _read(path: str) -> Any:
    return cloudpickle.loads(Path(path).read_bytes())  # our own file, written a moment ago by the process that submits


class _Store:
    """Finished blocks on disk, under a mark of the work they belong to."""

    def __init__(self, out: Path | None, payload: bytes, points: Array, block: int) -> None:
        self._out = out
        if out is None:
            return
        mark = hashlib.sha256(payload + np.ascontiguousarray(points).tobytes() + str(block).encode()).hexdigest()
        out.mkdir(parents=True, exist_ok=True)
        label = out / "work.txt"
        if label.exists() and label.read_text(encoding="ascii") != mark:
            got, repair = f"{out}, which holds blocks of other work", "remove the folder, or name another"
            raise InputError(worded("out", "a new folder, or that of the same work", got, repair))
        label.write_text(mark, encoding="ascii")

    def load(self, start: int) -> Outputs | None:
        if self._out is None or not self._path(start).exists():
            return None
        with np.load(self._path(start)) as file:
            return {name: file[name] for name in file.files}

    def save(self, start: int, outputs: Outputs) -> Outputs:
        if self._out is not None:
            aside = self._path(start).with_suffix(".part")
            with aside.open("wb") as file:
                np.savez(file, **outputs)  # type: ignore[arg-type]
            aside.replace(self._path(start))
        return outputs

    def clear(self) -> None:
        if self._out is not None:
            shutil.rmtree(self._out, ignore_errors=True)

    def _path(self, start: int) -> Path:
        assert self._out is not None
        return self._out / f"{start:09d}.npz"
