"""Second moments of adaptive optimizers at a few iterates of a run, read lazily and without torch."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.layout import Layout
from trajmap.data.store.array_file import read_arrays, write_arrays
from trajmap.data.store.rows import Row, ShardedRow
from trajmap.data.store.store import IterateFile
from trajmap.errors import RunFormatError

__all__ = ["MomentsNote", "SecondMoments", "kept_notes", "moments_path", "write_moments"]

_FOLDER = "moments"


@dataclasses.dataclass(frozen=True)
class MomentsNote:
    """The iterate of some second moments.

    Parameters
    ----------
    run : str
        The run's identity.
    place : int
        Place of the iterate in the run.
    step : int
        Its step.
    due : int
        Its number among the due ones; −1 for another one.
    """

    run: str
    place: int
    step: int
    due: int


def moments_path(folder: Path, place: int) -> Path:
    """Path of the second moments of the iterate at a place in the run."""
    return folder / _FOLDER / f"{place:012d}.npz"


def write_moments(folder: Path, note: MomentsNote, values: Array, counts: Array, sizes: Array) -> None:
    """Write the second moments of one iterate atomically.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    note : MomentsNote
        The iterate that they belong to.
    values : numpy.ndarray, shape (P,)
        In layout order; NaN if the optimizer keeps none.
    counts : numpy.ndarray, shape (n,)
        Updates of each parameter so far.
    sizes : numpy.ndarray, shape (n,)
        Entries of each parameter.
    """
    path = moments_path(folder, note.place)
    path.parent.mkdir(exist_ok=True)
    words = np.frombuffer(json.dumps(dataclasses.asdict(note)).encode(), np.uint8)
    write_arrays(path, {"note": words, "counts": counts, "sizes": sizes, "values": values})


def kept_notes(folder: Path) -> list[MomentsNote]:
    """List the readable second moments of a run folder, in order of their places."""
    found = []
    for path in sorted((folder / _FOLDER).glob("*.npz")):
        try:
            found.append(_note(path, read_arrays(path)))
        except RunFormatError:
            continue
    return found


class SecondMoments(Mapping[int, Array]):
    """Second moments by optimizer step: ``moments[step]`` reads an array of shape (P,), float64.

    Parameters
    ----------
    rows : sequence of Row
        The run's iterates.
    run : str
        Its identity.
    stored : Layout
        Layout of the files.
    layout : Layout
        The requested layout, with all or some of the parameters.
    """

    def __init__(self, rows: Sequence[Row], run: str, stored: Layout, layout: Layout) -> None:
        self._run, self._stored, self._layout = run, stored, layout
        self._rows = {row.file.notes.step: row for row in _rows_with_moments(rows)}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __getitem__(self, step: int) -> Array:
        return self._read(step, counted=False)

    def counts(self, step: int) -> Array:
        """Count the optimizer updates of each entry, shape (P,).

        Parameters
        ----------
        step : int
            One of the steps.

        Returns
        -------
        numpy.ndarray of int
            Counts, for example for Adam's bias correction.
        """
        return self._read(step, counted=True)

    def _read(self, step: int, *, counted: bool) -> Array:
        whole = np.full(self._stored.size, 0 if counted else np.nan, np.int64 if counted else np.float64)
        for file, stretches in _parts(self._rows[step], self._stored.size):
            piece = _piece(file, self._run, counted=counted)
            if len(piece) != sum(stop - start for start, stop in stretches):
                raise RunFormatError(f"{file.path}: expected second moments of its parameters, got others")
            place = 0
            for start, stop in stretches:
                whole[start:stop] = piece[place : place + stop - start]
                place += stop - start
        if self._layout == self._stored:
            return whole
        return np.concatenate([whole[self._stored.slices[name]] for name in self._layout.names])


def _rows_with_moments(rows: Sequence[Row]) -> list[Row]:
    folders: dict[Path, set[str]] = {}
    found = []
    for row in rows:
        for file, _ in _parts(row, 0):
            if file.place is None:
                break
            inner = file.path.parent.parent / _FOLDER
            if inner not in folders:
                folders[inner] = {path.stem for path in inner.glob("*.npz")}
            if f"{file.place:012d}" not in folders[inner]:
                break
        else:
            found.append(row)
    return found


def _parts(row: Row, size: int) -> list[tuple[IterateFile, Sequence[tuple[int, int]]]]:
    """List the files of an iterate, with the ranges of θ in each."""
    if isinstance(row, ShardedRow):
        return [(part.file, where) for part, where in zip(row.rows, row.stretches, strict=True)]
    return [(row.file, [(0, size)])]


def _piece(file: IterateFile, run: str, *, counted: bool) -> Array:
    assert file.place is not None
    path = moments_path(file.path.parent.parent, file.place)
    arrays = read_arrays(path)
    note = _note(path, arrays)
    # each shard has its own identity
    if (note.place, note.step) != (file.place, file.notes.step) or (run and note.run != run):
        raise RunFormatError(f"{path}: expected second moments of step {file.notes.step}, got those of {note}")
    try:
        return np.repeat(arrays["counts"], arrays["sizes"]) if counted else arrays["values"]
    except (KeyError, ValueError, TypeError) as error:
        raise RunFormatError(f"{path}: expected second moments, got a damaged file ({error})") from error


def _note(path: Path, arrays: Mapping[str, Array]) -> MomentsNote:
    try:
        words: dict[str, Any] = json.loads(arrays["note"].tobytes())
        return MomentsNote(str(words["run"]), int(words["place"]), int(words["step"]), int(words["due"]))
    except (KeyError, ValueError, TypeError) as error:
        raise RunFormatError(f"{path}: expected a note of the iterate, got a damaged one ({error})") from error
