"""How much of a disk a run may take."""

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

from trajmap._validation import worded
from trajmap.data.number_format import stored_dtype
from trajmap.data.store.store import RunHeader
from trajmap.data.thinning import Thinning
from trajmap.errors import DiskWarning, InputError

__all__ = ["Budget", "Pace", "as_bytes", "bytes_of", "in_words"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SPELLED = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", re.IGNORECASE)
_RESERVE = 4096
_FEWEST = 4  # iterates that a budget must hold
_TYPICAL_STEPS = 1000  # a training whose length is not known is taken to be this long at least


def as_bytes(value: object) -> int:
    """Read a number of bytes.

    Parameters
    ----------
    value : int or str
        As 20_000_000, ``"20GB"`` or ``"500 MiB"``.

    Returns
    -------
    int
        The bytes.

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> as_bytes("20GB"), as_bytes("500 MiB"), as_bytes(1000)
    (20000000000, 524288000, 1000)
    """
    found = None
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str) and (match := _SPELLED.fullmatch(value)) and match[2].lower() in _UNITS:
        found = int(float(match[1]) * _UNITS[match[2].lower()])
    if found is None or found <= 0:
        raise InputError(worded("budget", "a number of bytes, as 20_000_000, '20GB' or '500 MiB'", value))
    return found


def in_words(nbytes: float) -> str:
    """Say a number of bytes to three digits.

    Parameters
    ----------
    nbytes : float
        The bytes.

    Returns
    -------
    str
        The words.

    Examples
    --------
    >>> in_words(20e9), in_words(512)
    ('20 GB', '512 B')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.3g} {name}"
    return f"{nbytes:.0f} B"


def bytes_of(header: RunHeader, scalars: dict[str, float]) -> int:
    """Bytes that a whole iterate takes on the disk with its scalars, or a few more."""
    words = len(json.dumps(json.dumps(scalars)))
    values = header.layout.size * stored_dtype(header.dtype).itemsize + header.buffers.nbytes
    return values + len(header.listings["full"]) + words + 384


class Budget:
    """Which of a run's iterates fit into a number of bytes.

    Parameters
    ----------
    limit : int
        The bytes.
    header : RunHeader
        What the run will hold.

    Raises
    ------
    InputError
        If four iterates do not fit.
    """

    def __init__(self, limit: int, header: RunHeader) -> None:
        nbytes = bytes_of(header, {})
        # the header is written aside before it replaces the old one, and grows by a line each time the run is thinned
        self._limit = limit - 2 * _header_bytes(header) - _RESERVE
        if self._limit < _FEWEST * nbytes:
            least = limit - self._limit + _FEWEST * nbytes
            expected = f"at least {in_words(least)}, for {_FEWEST} iterates of {in_words(nbytes)}"
            raise InputError(worded("budget", expected, in_words(limit), "select fewer parameters, or give more room"))
        self.interval, self._row = 1, nbytes
        self._rows: list[tuple[int, int | None, int]] = []  # place, number among the due ones, bytes
        self._beside = 0  # bytes of what is on the disk and no part of the run any more

    def begin_from(self, rows: list[tuple[int, int]], nbytes: int, thinning: Thinning | None) -> None:
        """Count what an earlier session has left: places and bytes of its iterates, and the bytes of all files."""
        self.interval = 1 if thinning is None else thinning.interval
        self._rows = [(place, i * self.interval, size) for i, (place, size) in enumerate(rows)]
        self._beside = nbytes - sum(size for _, size in rows)

    def set_aside(self, nbytes: int, most: int) -> int:
        """Set bytes aside for some pieces, a quarter of all at most; for how many, without the one that is written."""
        room = min(self._limit // 4, self._limit - _FEWEST * self._row)
        many = min(most, room // nbytes - 1)
        if many < _FEWEST // 2:
            return 0
        self._limit -= (many + 1) * nbytes
        return many

    def is_due(self, due: int | None) -> bool:
        """Whether the iterate with a number among the due ones is recorded; one without number always is."""
        return due is None or due % self.interval == 0

    def fits(self, nbytes: int) -> bool:
        """Whether there is room for so many bytes more."""
        return self._beside + sum(size for _, _, size in self._rows) + nbytes <= self._limit

    def add(self, place: int, due: int | None, nbytes: int) -> None:
        """Count an iterate in."""
        self._rows.append((place, due, nbytes))

    def thin(self, below: int) -> Thinning | None:
        """Double the interval and drop what no longer falls on it; the first stays. None if nothing can go."""
        if len(self._rows) < 2 and not self._beside:
            return None
        self.interval *= 2
        kept = [row for row in self._rows[1:] if self.is_due(row[1])]
        if len(kept) > 3 * len(self._rows) // 4:  # most were asked for by name
            kept = self._rows[2::2]
        self._rows, self._beside = self._rows[:1] + kept, 0
        return Thinning.of([place for place, _, _ in self._rows], below=below, interval=self.interval)


class Pace:
    """Warn once when a recording without a budget would fill half of the disk that was free when it began.

    The end of a training is not known. It is taken to be as far as the caller expects; otherwise twice as far as the
    training has come, and at least a thousand steps where iterates are evenly spaced.

    Parameters
    ----------
    path : pathlib.Path
        Folder whose disk is meant.
    nbytes : int
        What one iterate takes.
    every : int, optional
        Steps from one iterate to the next, if that is fixed.
    """

    def __init__(self, path: Path, nbytes: int, every: int | None) -> None:
        self._path, self._nbytes, self._every = path, nbytes, every
        self._free: int | None = None
        self._first = 0
        self._said = False
        self.expected: int | None = None

    def see(self, step: int, n_taken: int) -> None:
        """Look at the pace after an iterate."""
        if self._said:
            return
        if self._free is None:
            self._free, self._first = shutil.disk_usage(_existing(self._path)).free, step
        done = step - self._first
        ahead = self.expected - self._first if self.expected else max(2 * done, _TYPICAL_STEPS if self._every else 0)
        n_iterates = ahead / self._every if self._every else n_taken * ahead / max(done, 1)
        half = self._free / 2
        if n_iterates * self._nbytes > half and (self._every or done):
            self._said = True
            every = -(-ahead * self._nbytes // max(int(half), 1))
            message = (
                f"{self._path}: an iterate takes {in_words(self._nbytes)}, and {ahead} steps at this pace would take "
                f"{in_words(n_iterates * self._nbytes)} of the {in_words(self._free)} that were free; repair: "
                f"every={max(every, 2)}, or budget={in_words(half)!r} to keep within half of it"
            )
            warnings.warn(message, DiskWarning, stacklevel=6)


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _header_bytes(header: RunHeader) -> int:
    """Bytes of ``run.json`` or a few more."""
    settings: Any = json.dumps(header.settings, indent=1)
    return len(settings) + sum(len(name) + 64 for name in (*header.layout.names, *header.buffers.names)) + 1024
