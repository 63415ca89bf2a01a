"""Open a run folder: every iterate that is whole, and one line about what is not."""

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from trajmap.data.checkpoint_rows import open_linked
from trajmap.data.history import History
from trajmap.data.rows import DeltaRow, FullRow, Row, ShardedRow
from trajmap.data.store import IterateFile, RunHeader, read_iterate_file
from trajmap.errors import RunFormatError

__all__ = ["read_run", "shard_folder"]


def read_run(folder: Path, *, verify: bool = False) -> tuple[RunHeader, list[Row], History]:
    """Read the headers of a run's files, drop what is damaged, and say so in one warning.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    verify : bool
        Read the numbers too, and drop iterates that differ from their checksums.

    Returns
    -------
    header : RunHeader
        What ``run.json`` holds.
    rows : list of Row
        The iterates, in order of their steps.
    history : History
        Seams, and what was left out.

    Raises
    ------
    RunFormatError
        If the folder is no run, or the header is damaged.

    Warns
    -----
    RuntimeWarning
        If anything was dropped.
    """
    header = RunHeader.read(folder)
    rows: list[Row]
    if header.checkpoints:
        rows, history = open_linked(folder, header, verify=verify)
    elif header.shards:
        rows, history = _read_shards(folder, header, verify=verify)
    else:
        rows, history = _read_rows(folder, header, verify=verify)
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


def _read_rows(folder: Path, header: RunHeader, *, verify: bool) -> tuple[list[Row], History]:
    dropped: list[str] = []
    rows: list[Row] = []
    before: FullRow | DeltaRow | None = None
    expected, thinning = 0, header.thinning
    for path in sorted((folder / "iterates").glob("*.safetensors")):
        place = int(path.stem) if path.stem.isdigit() else expected
        if thinning is not None and thinning.drops(place):
            continue  # a removal that was cut short
        gone = (p for p in range(expected, place) if thinning is None or not thinning.drops(p))
        dropped += [f"{missing:012d}: missing" for missing in gone]
        before = None if place > expected else before
        expected = place + 1
        try:
            before = _row(read_iterate_file(path, header), before, header)
            if verify:
                before.file.verify()
            rows.append(before)
        except RunFormatError as error:
            dropped.append(f"{path.stem}: {str(error).split(': ', 1)[1]}")
            before = None
    kept, history = _without_superseded(rows, dropped)
    return kept, dataclasses.replace(history, interval=1 if thinning is None else thinning.interval)


def _row(file: IterateFile, before: FullRow | DeltaRow | None, header: RunHeader) -> FullRow | DeltaRow:
    if file.notes.kind == "full":
        return FullRow(file, header.dtype)
    if before is None:
        raise RunFormatError(f"{file.path}: expected the iterate it is a difference to, got none")
    return DeltaRow(file, before, header)


def _without_superseded(rows: list[Row], dropped: list[str]) -> tuple[list[Row], History]:
    """Leave out what a later session went back behind."""
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


def _read_shards(folder: Path, header: RunHeader, *, verify: bool) -> tuple[list[Row], History]:
    """Join the shards' rows by step; a step that a shard lacks was never whole."""
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
