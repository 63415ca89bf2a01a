"""Long work in blocks: in this process, in other processes, or on a cluster."""

import concurrent.futures
import functools
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
from trajmap.projection.block_store import BlockStore, Outputs

__all__ = ["Work", "run_blocks"]


class Work(Protocol):
    """The work on a block of points: named arrays with one entry per point."""

    def __call__(self, points: Array) -> Outputs:
        """Do it."""

    def packed(self, folder: Path) -> "Work":
        """Return the same work for other processes, with large parts in files of the folder."""


def run_blocks(
    work: Work,
    points: Array,
    *,
    block: int,
    executor: concurrent.futures.Executor | None = None,
    store: BlockStore | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outputs:
    """Do work on all points, block by block.

    Parameters
    ----------
    work : callable
        ``work(points) -> {name: array with one entry per point}``.
    points : numpy.ndarray, shape (n, d)
        The points.
    block : int
        Points per block.
    executor : concurrent.futures.Executor, optional
        A process pool, ``dask.distributed.Client(...).get_executor()``, or any other. The work is written to files once
        and read once per process, so a task contains only its points; workers need the same file system. By default the
        work is done in this process.
    store : BlockStore, optional
        Store of finished blocks: existing ones are not computed again, and all are removed at the end.
    progress : callable, optional
        Called with the number of points done since the last call.

    Returns
    -------
    dict of str to numpy.ndarray
        Outputs of all points, in order; any executor gives the same bytes with the same number of threads.
    """
    starts = list(range(0, len(points), block))
    done = {start: None if store is None else store.load(start) for start in starts}
    missing = [start for start in starts if done[start] is None]
    for start in starts:
        if done[start] is not None and progress is not None:
            progress(len(points[start : start + block]))
    tasks = {start: points[start : start + block] for start in missing}
    here = ((start, work(rows)) for start, rows in tasks.items())
    for start, outputs in here if executor is None else _submitted(executor, work, tasks):
        done[start] = outputs
        if store is not None:
            store.save(start, outputs)
        if progress is not None:
            progress(len(tasks[start]))
    parts = [part for start in starts if (part := done[start]) is not None]
    if store is not None:
        store.clear()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _submitted(
    executor: concurrent.futures.Executor, work: Work, tasks: dict[int, Array]
) -> Iterator[tuple[int, Outputs]]:
    """Submit the tasks and yield their outputs as they finish."""
    folder = Path(tempfile.mkdtemp(prefix="trajmap-"))
    try:
        path = folder / "work.pickle"
        with path.open("wb") as file:
            cloudpickle.dump(work.packed(folder), file)
        threads = torch.get_num_threads()
        futures = {executor.submit(_remote, os.fspath(path), points, threads): start for start, points in tasks.items()}
        waiting = set(futures)
        while waiting:  # concurrent.futures.as_completed does not accept dask's futures
            ready = {future for future in waiting if future.done()} or {next(iter(waiting))}
            for future in ready:
                yield futures[future], future.result()
            waiting -= ready
    except concurrent.futures.BrokenExecutor as error:
        repair = "give each process more memory, or use fewer; with out= the finished blocks are kept"
        raise InputError(worded("executor", "living processes", "a pool that lost one", repair)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remote(path: str, points: Array, threads: int) -> Outputs:
    torch.set_num_threads(threads)
    return _read(path)(points)


@functools.lru_cache(maxsize=1)
def _read(path: str) -> Any:
    return cloudpickle.loads(Path(path).read_bytes())  # a file just written by the submitting process
