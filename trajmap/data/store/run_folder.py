"""Open a run folder: all complete iterates, and one line about the others."""

import dataclasses
import os
import warnings
from pathlib import Path

import numpy as np

from trajmap.data.checkpoints.rows import open_linked
from trajmap.data.history import History
from trajmap.data.memory import Memory
from trajmap.data.owner import owner_of
from trajmap.data.store.rows import DeltaRow, FullRow, Row, ShardedRow
from trajmap.data.store.store import IterateFile, RunHeader, iterate_place, read_iterate_file
from trajmap.data.thinning import Thinning
from trajmap.errors import RunFormatError

__all__ = ["read_run", "shard_folder"]


def read_run(folder: Path, *, verify: bool | None = False) -> tuple[RunHeader, list[Row], History]:
    """Read the headers of a run's files, and drop damaged ones with one warning.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    verify : bool or None
        Read the numbers too, and drop iterates that differ from their checksums; None does this only for files that
        were not verified before.

    Returns
    -------
    header : RunHeader
        Content of ``run.json``.
    rows : list of Row
        The iterates, in order of their steps.
    history : History
        Resumptions, and omitted iterates.

    Raises
    ------
    RunFormatError
        If the folder is not a run, or the header is damaged.

    Warns
    -----
    RuntimeWarning
        If anything was dropped.
    """
    header = RunHeader.read(folder)
    rows: list[Row]
    if header.checkpoints:
        rows, history = open_linked(folder, header, verify=bool(verify))
    elif header.shards:
        rows, history = _read_shards(folder, header, verify=verify)
    else:
        rows, history = _read_rows(folder, header, verify=verify)
    history = dataclasses.replace(history, unclosed=_unclosed(folder))
    if history.dropped:
        listed = "; ".join(history.dropped[:3]) + ("; …" if len(history.dropped) > 3 else "")
        message = f"{folder}: dropped {len(history.dropped)} damaged of {len(rows) + len(history.dropped)} iterates: "
        warnings.warn(message + listed, RuntimeWarning, stacklevel=4)
    steps = np.array([row.file.notes.step for row in rows])
    if not np.all(np.diff(steps) > 0):
        raise RunFormatError(f"{folder}: expected increasing steps, got a repeated or falling one")
    return header, rows, history


def shard_folder(folder: Path, rank: int) -> Path:
    """Folder of one rank's part of a run."""
    return folder / f"shard-{rank:05d}"


def _read_rows(folder: Path, header: RunHeader, *, verify: bool | None) -> tuple[list[Row], History]:
    dropped: list[str] = []
    rows: list[Row] = []
    before: FullRow | DeltaRow | None = None
    expected, thinning = 0, header.thinning
    memory = None if verify is False else Memory(folder, trust=verify is None)
    for path in _files(folder):
        place = iterate_place(path)
        if place is None:
            dropped.append(f"{Path(path).stem}: expected a name of twelve digits, got another")
            continue
        if thinning is not None and thinning.drops(place):
            continue  # an interrupted removal
        if place > expected:
            dropped += _missing(expected, place - 1, thinning)
            before = None
        expected = place + 1
        try:
            before = _row(read_iterate_file(path, header), before, header)
            if memory is not None:
                memory.verify(before.file)
            rows.append(before)
        except RunFormatError as error:
            dropped.append(f"{Path(path).stem}: {str(error).split(': ', 1)[1]}")
            before = None
    if memory is not None:
        memory.keep()
    kept, history = _without_superseded(rows, dropped)
    return kept, dataclasses.replace(history, interval=1 if thinning is None else thinning.interval)


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder / "iterates") as found:
            return sorted(entry.path for entry in found if entry.name.endswith(".safetensors"))
    except OSError:
        return []


def _missing(first: int, last: int, thinning: Thinning | None) -> list[str]:
    """Name the places of missing iterates: one line per range."""
    stretches = [(first, last)] if thinning is None else thinning.stretches(first, last)
    return [f"{low:012d}" + (f" to {high:012d}" if high > low else "") + ": missing" for low, high in stretches]


def _unclosed(folder: Path) -> str:
    """Describe the writer of a run that is not closed."""
    found = owner_of(folder)
    if found is None:
        return ""
    owner, lives = found
    return f"being written by {owner}" if lives else f"not closed by {owner}: the last iterates may be missing"


def _row(file: IterateFile, before: FullRow | DeltaRow | None, header: RunHeader) -> FullRow | DeltaRow:
    if file.notes.kind == "full":
        return FullRow(file, header.dtype)
    if before is None:
        raise RunFormatError(f"{file.path}: expected the iterate on which it depends, got none")
    return DeltaRow(file, before, header)


def _without_superseded(rows: list[Row], dropped: list[str]) -> tuple[list[Row], History]:
    """Omit iterates that were superseded by a later session."""
    kept: list[Row] = []
    seams: list[int] = []
    session = None
    for row in rows:
        seam = row.file.notes.seam
        if seam is not None and seam != session:
            went_on_from, first = seam[0], row.file.notes.step
            kept = [r for r in kept if r.file.notes.step <= went_on_from and r.file.notes.step < first]
            seams = [s for s in seams if s < went_on_from] + [went_on_from]
        session = seam
        kept.append(row)
    return kept, History(tuple(seams), len(rows) - len(kept), tuple(dropped))


def _read_shards(folder: Path, header: RunHeader, *, verify: bool | None) -> tuple[list[Row], History]:
    """Join the shards' rows by step; a step that is missing in a shard is incomplete."""
    assert header.shards is not None
    parts: list[dict[int, Row]] = []
    dropped: list[str] = []
    histories = []
    for rank in range(len(header.shards)):
        inner = shard_folder(folder, rank)
        rows, history = _read_rows(inner, RunHeader.read(inner), verify=verify)
        parts.append({row.file.notes.step: row for row in rows})
        dropped += [f"shard {rank}, {entry}" for entry in history.dropped]
        histories.append(history)
    stretches = tuple([(start, stop) for start, stop in shard] for shard in header.shards)
    whole = set.intersection(*(set(part) for part in parts))
    last = max(whole, default=-1)
    dropped += [f"step {s}: not in every shard" for s in sorted(set.union(*map(set, parts)) - whole) if s < last]
    joined: list[Row] = [ShardedRow(tuple(part[step] for part in parts), stretches) for step in sorted(whole)]
    return joined, History(histories[0].seams, histories[0].superseded, tuple(dropped))
