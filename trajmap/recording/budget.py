"""How much disk space a run may take."""

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
_TYPICAL_STEPS = 1000  # a training of unknown length is assumed to have at least this many steps


def as_bytes(value: object) -> int:
    """Read a number of bytes.

    Parameters
    ----------
    value : int or str
        For example 20_000_000, ``"20GB"`` or ``"500 MiB"``.

    Returns
    -------
    int
        The bytes.

    Raises
    ------
    InputError
        If it is not a number of bytes.

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
        raise InputError(worded("budget", "a number of bytes such as 20_000_000, '20GB' or '500 MiB'", value))
    return found


def in_words(nbytes: float) -> str:
    """Format a number of bytes with three digits.

    Parameters
    ----------
    nbytes : float
        The bytes.

    Returns
    -------
    str
        The text.

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
    """Upper estimate of the bytes of a whole iterate and its scalars on the disk."""
    words = len(json.dumps(json.dumps(scalars)))
    values = header.layout.size * stored_dtype(header.dtype).itemsize + header.buffers.nbytes
    return values + len(header.listings["full"]) + words + 384


class Budget:
    """Decide which iterates of a run fit into a number of bytes.

    Parameters
    ----------
    limit : int
        The bytes.
    header : RunHeader
        The header of the run.

    Raises
    ------
    InputError
        If four iterates do not fit.
    """

    def __init__(self, limit: int, header: RunHeader) -> None:
        nbytes = bytes_of(header, {})
        # a new header is written next to the old one before replacing it, and grows by a line at each thinning
        self._limit = limit - 2 * _header_bytes(header) - _RESERVE
        if self._limit < _FEWEST * nbytes:
            least = limit - self._limit + _FEWEST * nbytes
            expected = f"at least {in_words(least)}, for {_FEWEST} iterates of {in_words(nbytes)}"
            raise InputError(
                worded("budget", expected, in_words(limit), "select fewer parameters, or raise the budget")
            )
        self.interval, self._row = 1, nbytes
        self._rows: list[tuple[int, int | None, int]] = []  # place, number among the due ones, bytes
        self._beside = 0  # bytes on the disk that no longer belong to the run

    def begin_from(self, rows: list[tuple[int, int]], nbytes: int, thinning: Thinning | None) -> None:
        """Count the iterates of an earlier session (places and bytes), and the bytes of all files."""
        self.interval = 1 if thinning is None else thinning.interval
        self._rows = [(place, i * self.interval, size) for i, (place, size) in enumerate(rows)]
        self._beside = nbytes - sum(size for _, size in rows)

    def set_aside(self, nbytes: int, most: int) -> int:
        """Reserve at most a quarter of the bytes for pieces; return how many, without the one being written."""
        room = min(self._limit // 4, self._limit - _FEWEST * self._row)
        many = min(most, room // nbytes - 1)
        if many < _FEWEST // 2:
            return 0
        self._limit -= (many + 1) * nbytes
        return many

    def is_due(self, due: int | None) -> bool:
        """Whether the due iterate with this number is recorded; one without a number always is."""
        return due is None or due % self.interval == 0

    def fits(self, nbytes: int) -> bool:
        """Whether there is room for this many more bytes."""
        return self._beside + sum(size for _, _, size in self._rows) + nbytes <= self._limit

    def add(self, place: int, due: int | None, nbytes: int) -> None:
        """Add an iterate to the count."""
        self._rows.append((place, due, nbytes))

    def thin(self, below: int) -> Thinning | None:
        """Double the interval and drop the other iterates except the first; None if none can be dropped."""
        if len(self._rows) < 2 and not self._beside:
            return None
        self.interval *= 2
        kept = [row for row in self._rows[1:] if self.is_due(row[1])]
        if len(kept) > 3 * len(self._rows) // 4:  # most were recorded by step
            kept = self._rows[2::2]
        self._rows, self._beside = self._rows[:1] + kept, 0
        return Thinning.of([place for place, _, _ in self._rows], below=below, interval=self.interval)


class Pace:
    """Warn once if a recording without a budget would fill half of the initially free disk space.

    The length of a training is what the caller expects. If that is unknown, it is assumed to be twice the steps so far,
    and at least a thousand steps if iterates are evenly spaced.

    Parameters
    ----------
    path : pathlib.Path
        A folder on the disk.
    nbytes : int
        Bytes of one iterate.
    every : int, optional
        Steps from one iterate to the next, if fixed.
    """

    def __init__(self, path: Path, nbytes: int, every: int | None) -> None:
        self._path, self._nbytes, self._every = path, nbytes, every
        self._free: int | None = None
        self._first = 0
        self._said = False
        self.expected: int | None = None

    def see(self, step: int, n_taken: int) -> None:
        """Check the rate after an iterate."""
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
                f"{self._path}: an iterate takes {in_words(self._nbytes)}, and {ahead} steps at this rate would take "
                f"{in_words(n_iterates * self._nbytes)} of the {in_words(self._free)} that were free; repair: "
                f"every={max(every, 2)}, or budget={in_words(half)!r} to stay within half of it"
            )
            warnings.warn(message, DiskWarning, stacklevel=6)


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _header_bytes(header: RunHeader) -> int:
    """Upper estimate of the bytes of ``run.json``."""
    settings: Any = json.dumps(header.settings, indent=1)
    return len(settings) + sum(len(name) + 64 for name in (*header.layout.names, *header.buffers.names)) + 1024
