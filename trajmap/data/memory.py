"""Remember which files of a run have been compared with their checksums, so that this is done once."""

import contextlib
import time
from pathlib import Path

import numpy as np

from trajmap.data.store.array_file import read_arrays, write_arrays
from trajmap.data.store.store import IterateFile
from trajmap.errors import RunFormatError

__all__ = ["MEMORY", "Memory"]

MEMORY = "verified.npz"
_SETTLED = 2.0  # seconds: a file changed later than this could change again within one tick of its file system's clock

Key = tuple[int, int, int]


class Memory:
    """Compare files with their checksums, unless an earlier comparison is still valid.

    A file is recognised by its size, its modification time and its change time, which no program can set; so a copy of
    a run is compared again. If the run folder is read-only, nothing is remembered.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    trust : bool
        Use remembered comparisons.
    """

    def __init__(self, folder: Path, *, trust: bool) -> None:
        self._path = folder / MEMORY
        self._trust = trust
        self._known = _remembered(self._path)
        self._seen: dict[int, Key] = {}
        self._settled = (time.time() - _SETTLED) * 1e9

    def verify(self, file: IterateFile) -> None:
        """Raise RunFormatError if the numbers differ from those that were written."""
        place = file.place
        if place is None or not (self._trust and self._known.get(place) == file.seen):
            file.verify()
        if place is not None and file.seen[1] < self._settled and file.seen[2] < self._settled:
            self._seen[place] = file.seen

    def keep(self) -> None:
        """Store the successful comparisons."""
        if self._seen != self._known:
            array = np.array([(place, *key) for place, key in self._seen.items()], np.int64).reshape(-1, 4)
            with contextlib.suppress(OSError):
                write_arrays(self._path, {"files": array})


def _remembered(path: Path) -> dict[int, Key]:
    try:
        rows = np.asarray(read_arrays(path)["files"], np.int64).reshape(-1, 4).tolist()
    except (OSError, RunFormatError, KeyError, ValueError, TypeError):
        return {}
    return {place: (size, content, entry) for place, size, content, entry in rows}
