"""Finished blocks of long work on disk, with a fingerprint of the work, so that another process can continue."""

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
    """Fingerprint of a piece of work, for recognising it in another process.

    Parameters
    ----------
    exact : str
        Digest of everything that must be equal bit for bit.
    values : numpy.ndarray, shape (n,)
        Numbers that may differ by rounding between processes, such as losses at a few of the points.
    tolerance : float
        Allowed relative difference.
    """

    exact: str
    values: Array
    tolerance: float

    def agrees(self, label: Any) -> bool:
        """Whether a stored label belongs to the same work."""
        if not isinstance(label, dict) or label.get("exact") != self.exact:
            return False
        values = np.array(label.get("values", []), dtype=np.float64)
        return values.shape == self.values.shape and bool(
            np.allclose(values, self.values, rtol=self.tolerance, atol=0, equal_nan=True)
        )


class BlockStore:
    """A folder for the finished blocks of one piece of work.

    Existing blocks of the same work are used; those of other work are removed, with a warning. Other files are not
    touched.

    Parameters
    ----------
    out : path-like
        The folder.
    mark : Mark
        Fingerprint of the work.

    Raises
    ------
    InputError
        If the folder holds block files without a fingerprint.
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
                warnings.warn(f"{text}; they are removed, and the surface starts again", RuntimeWarning, stacklevel=3)
            self._remove()
            self._write(_LABEL, {"exact": mark.exact, "values": mark.values.tolist()})

    def choice(self, name: str) -> Any:
        """Read a choice made when the work began; None if there is none."""
        return self._read(f"{name}.json")

    def keep(self, name: str, choice: Any) -> None:
        """Store a choice for processes that continue."""
        self._write(f"{name}.json", choice)

    def load(self, start: int) -> Outputs | None:
        """Read a finished block; None if it is missing or incomplete."""
        try:
            return read_arrays(self._path(start))
        except (OSError, RunFormatError):
            return None

    def save(self, start: int, outputs: Outputs) -> None:
        """Store a finished block atomically."""
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
