"""Finished blocks of long work on disk, under a mark of what is computed, so that another process goes on."""

import dataclasses
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.atomic import write_parts
from trajmap.data.store.array_file import read_arrays, write_arrays
from trajmap.errors import InputError, RunFormatError

__all__ = ["BlockStore", "Mark", "Outputs"]

Outputs = dict[str, Array]

_LABEL = "work.json"
_OURS = re.compile(r"(\d{9}\.npz|(work|strategy)\.json)(\.[0-9a-f]{8}\.part)?|\d{9}\.part|work\.txt")


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a piece of work computes, to be known again in another process.

    Parameters
    ----------
    exact : str
        Digest of what must be the same to the bit.
    values : numpy.ndarray, shape (n,)
        Numbers that rounding may change from one process to the next, as losses at a few of the points.
    tolerance : float
        How much, relative.
    """

    exact: str
    values: Array
    tolerance: float

    def agrees(self, label: Any) -> bool:
        """Whether a stored label is of the same work."""
        if not isinstance(label, dict) or label.get("exact") != self.exact:
            return False
        values = np.array(label.get("values", []), dtype=np.float64)
        return values.shape == self.values.shape and bool(
            np.allclose(values, self.values, rtol=self.tolerance, atol=0, equal_nan=True)
        )


class BlockStore:
    """A folder for the finished blocks of one piece of work.

    Blocks of the same work that are there are used; those of other work are removed, with a warning. Files that are
    not ours are left alone.

    Parameters
    ----------
    out : path-like
        The folder.
    mark : Mark
        Of the work.

    Raises
    ------
    InputError
        If the folder holds files like ours and no mark.
    """

    def __init__(self, out: str | os.PathLike[str], mark: Mark) -> None:
        self._out = Path(out)
        self._out.mkdir(parents=True, exist_ok=True)
        blocks = list(self._out.glob("[0-9]*.npz"))
        label = self._read(_LABEL)
        if label is None and blocks and not (self._out / "work.txt").exists():
            got, repair = f"{self._out}, which holds other files", "name another folder"
            raise InputError(worded("out", "a new folder, or that of an unfinished surface", got, repair))
        if not mark.agrees(label):
            if blocks:
                text = f"out: {self._out} holds {len(blocks)} blocks of other work (another loss, data, chart or grid)"
                warnings.warn(f"{text}; they are removed, and the surface starts anew", RuntimeWarning, stacklevel=3)
            self._remove()
            self._write(_LABEL, {"exact": mark.exact, "values": mark.values.tolist()})

    def choice(self, name: str) -> Any:
        """Read what was chosen when the work was begun; None if nothing was."""
        return self._read(f"{name}.json")

    def keep(self, name: str, choice: Any) -> None:
        """Keep a choice for those who go on."""
        self._write(f"{name}.json", choice)

    def load(self, start: int) -> Outputs | None:
        """Read a finished block; None for one that is not there, or not whole."""
        try:
            return read_arrays(self._path(start))
        except (OSError, RunFormatError):
            return None

    def save(self, start: int, outputs: Outputs) -> None:
        """Keep a finished block: it is there whole or not at all."""
        write_arrays(self._path(start), outputs)

    def clear(self) -> None:
        """Remove the blocks, and the folder if nothing else is in it."""
        self._remove()
        if not any(self._out.iterdir()):
            self._out.rmdir()

    def _path(self, start: int) -> Path:
        return self._out / f"{start:09d}.npz"

    def _remove(self) -> None:
        for path in self._out.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink()

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self._out / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _write(self, name: str, value: Any) -> None:
        write_parts(self._out / name, [json.dumps(value).encode("ascii")])
