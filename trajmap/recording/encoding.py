"""How an iterate becomes a file: whole, or as a 16-bit difference from the previous one."""

from pathlib import Path
from typing import Protocol

import numpy as np

from trajmap._validation import Array
from trajmap.data.store.delta16 import BLOCK, decode, encode
from trajmap.data.store.store import Notes, RunHeader, write_delta, write_iterate
from trajmap.recording.snapshot import Slot

__all__ = ["DeltaRows", "Encoding", "FullRows", "count_broken"]

# distance between whole rows; files are then 1.88 times smaller, and a row is read from at most 16 files
_WHOLE_EVERY = 16
_CHUNK = 64 * BLOCK
# bits that are all set in NaN and inf, and in no other number
_EXPONENTS = {"bfloat16": 0x7F80, "float16": 0x7C00}


class Encoding(Protocol):
    """How the writer stores successive iterates."""

    def write(self, path: Path, header: RunHeader, slot: Slot, notes: Notes) -> None:
        """Write one iterate and flush it to the disk."""


class FullRows:
    """Store every iterate unchanged."""

    def write(self, path: Path, header: RunHeader, slot: Slot, notes: Notes) -> None:
        """Write one iterate and flush it to the disk."""
        write_iterate(path, header, slot.theta, notes, buffers=slot.buffers)


class DeltaRows:
    """Store every sixteenth iterate unchanged, and 16-bit differences from the stored one in between.

    The rounding error is recorded with each iterate as the scalar ``delta16_error``: the distance between the iterate
    and its stored form, divided by the distance to the previous iterate. An iterate is stored whole if it holds NaN or
    inf, or if float32 cannot hold its difference from the previous one.
    """

    def __init__(self) -> None:
        self._stored: Array | None = None
        self._since = 0

    def write(self, path: Path, header: RunHeader, slot: Slot, notes: Notes) -> None:
        """Write one iterate and flush it to the disk."""
        try:
            if (
                self._stored is None
                or notes.broken
                or self._since + 1 >= _WHOLE_EVERY
                or not self._write_delta(path, header, slot, notes)
            ):
                self._write_whole(path, header, slot, notes)
        except BaseException:
            self._stored = None  # the next difference must not refer to an iterate that is not on the disk
            raise

    def _write_whole(self, path: Path, header: RunHeader, slot: Slot, notes: Notes) -> None:
        whole = Notes(notes.step, {**notes.scalars, "delta16_error": 0.0}, "full", notes.seam, notes.broken)
        write_iterate(path, header, slot.theta, whole, buffers=slot.buffers)
        self._stored, self._since = (None if notes.broken else slot.theta.copy()), 0

    def _write_delta(self, path: Path, header: RunHeader, slot: Slot, notes: Notes) -> bool:
        """Write the differences; return False if the numbers are too large for a difference to be resolved."""
        assert self._stored is not None
        size = len(slot.theta)
        delta, scales = np.empty(size, np.int16), np.empty(-(-size // BLOCK), np.float32)
        moved = error = 0.0
        for start in range(0, size, _CHUNK):  # so that the temporaries are small
            part = slice(start, min(start + _CHUNK, size))
            blocks = slice(start // BLOCK, -(-part.stop // BLOCK))
            theta, stored = slot.theta[part], self._stored[part]
            with np.errstate(over="ignore", invalid="ignore"):
                moved += _squared(theta - stored)
                if not np.isfinite(moved):
                    return False
                delta[part], scales[blocks] = encode(theta, stored)
                decode(stored, delta[part], scales[blocks])
                error += _squared(theta - stored)
            if not np.isfinite(error):
                return False
        scalars = {**notes.scalars, "delta16_error": (error / moved) ** 0.5 if moved else 0.0}
        write_delta(
            path, header, (delta, scales), Notes(notes.step, scalars, "delta16", notes.seam), buffers=slot.buffers
        )
        self._since += 1
        return True


def count_broken(theta: Array, dtype: str) -> int:
    """Count the entries that are NaN or inf; a finite sum shows that there are none."""
    if dtype in _EXPONENTS:
        bits, exponent = theta.view(np.uint16), np.uint16(_EXPONENTS[dtype])
        pieces = (bits[start : start + _CHUNK] for start in range(0, len(bits), _CHUNK))
        return sum(int(np.count_nonzero((piece & exponent) == exponent)) for piece in pieces)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(theta.sum()):
            return 0
    return int(np.count_nonzero(~np.isfinite(theta)))


def _squared(difference: Array) -> float:
    return float(np.square(difference, dtype=np.float64).sum())
