"""One stored iterate as a row of numbers: whole, as differences, or in shards. Each reads ranges of columns."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from trajmap._validation import Array
from trajmap.data.number_format import read_numbers
from trajmap.data.store.buffers import BufferLayout
from trajmap.data.store.delta16 import decode
from trajmap.data.store.store import IterateFile, RunHeader
from trajmap.errors import RunFormatError

__all__ = ["DeltaRow", "FullRow", "Known", "Ranges", "Row", "ShardedRow", "digest", "require_same"]

Ranges = Sequence[tuple[int, int]]  # ranges of θ: first column, and one past the last
Known = tuple["Row", Array] | None  # a row that was just read over the same ranges


class Row(Protocol):
    """The protocol of a row in a matrix of iterates."""

    def read(self, ranges: Ranges, out: Array, known: Known = None) -> None:
        """Fill `out` with the concatenated ranges."""

    def verify(self) -> None:
        """Raise RunFormatError if the numbers differ from the written ones."""

    def buffers(self, layout: BufferLayout) -> dict[str, Array]:
        """Read the buffers stored with the row, by name, read-only."""

    @property
    def file(self) -> IterateFile:
        """The file of the row, with the row's notes."""

    @property
    def files(self) -> list[IterateFile]:
        """All files with a checksum that contain its numbers."""

    @property
    def key(self) -> bytes:
        """The key of the row: the places of its numbers, and their written checksums."""


@dataclasses.dataclass(frozen=True, eq=False)
class FullRow:
    """An iterate stored whole in its file, in the number format of the run."""

    file: IterateFile
    dtype: str

    def read(self, ranges: Ranges, out: Array, known: Known = None) -> None:
        """Read each range in place."""
        place = 0
        for start, stop in ranges:
            read_numbers(self.file.read, self.dtype, start, out[place : place + stop - start])
            place += stop - start

    @property
    def files(self) -> list[IterateFile]:
        """The file."""
        return [self.file]

    def verify(self) -> None:
        """Compare the file with its checksum."""
        self.file.verify()

    @functools.cached_property
    def key(self) -> bytes:
        """A digest of the file's place and checksum."""
        return digest("full", self.dtype, _place(self.file))

    def buffers(self, layout: BufferLayout) -> dict[str, Array]:
        """Read the buffers, which follow the parameters."""
        return _last_of(self.file, layout)


@dataclasses.dataclass(frozen=True, eq=False)
class DeltaRow:
    """An iterate whose file holds 16-bit differences from the previous row."""

    file: IterateFile
    base: "FullRow | DeltaRow"
    header: RunHeader

    def read(self, ranges: Ranges, out: Array, known: Known = None) -> None:
        """Start from the last whole row, or from the row just read, and add the differences since."""
        chain: list[DeltaRow] = []
        row: FullRow | DeltaRow = self
        while isinstance(row, DeltaRow) and not (known and row is known[0]):
            chain.append(row)
            row = row.base
        if known and row is known[0]:
            out[:] = known[1]
        else:
            row.read(ranges, out)
        for link in reversed(chain):
            link._add(ranges, out)

    def _add(self, ranges: Ranges, out: Array) -> None:
        (_, _, (size,)), (_, _, (blocks,)) = self.header.tensors("delta16")[:2]
        scales, place = np.empty(blocks, np.float32), 0
        self.file.read(2 * size, scales)
        for start, stop in ranges:
            delta = np.empty(stop - start, np.int16)
            self.file.read(2 * start, delta)
            decode(out[place : place + stop - start], delta, scales, start)
            place += stop - start

    @property
    def files(self) -> list[IterateFile]:
        """The file, and the files of all rows on which it depends."""
        chain: list[FullRow | DeltaRow] = [self]
        while isinstance(link := chain[-1], DeltaRow):
            chain.append(link.base)
        return [link.file for link in chain]

    def verify(self) -> None:
        """Compare the files of the row and of all rows on which it depends with their checksums."""
        self.file.verify()
        self.base.verify()

    @functools.cached_property
    def key(self) -> bytes:
        """A digest of the place and checksum of the file, and of the files on which it depends."""
        return digest("delta16", *map(_place, self.files))

    def buffers(self, layout: BufferLayout) -> dict[str, Array]:
        """Read the buffers, which follow the differences."""
        return _last_of(self.file, layout)


@dataclasses.dataclass(frozen=True, eq=False)
class ShardedRow:
    """An iterate whose parts are in several files."""

    rows: tuple[Row, ...]
    stretches: tuple[Ranges, ...]  # of each part, in its storage order

    @property
    def file(self) -> IterateFile:
        """The first shard's file."""
        return self.rows[0].file

    def read(self, ranges: Ranges, out: Array, known: Known = None) -> None:
        """Read from each shard its part of each range."""
        for row, stretches in zip(self.rows, self.stretches, strict=True):
            wanted, targets = _overlaps(ranges, stretches)
            part = np.empty(sum(stop - start for start, stop in wanted), out.dtype)
            row.read(wanted, part)
            place = 0
            for (start, stop), target in zip(wanted, targets, strict=True):
                out[target : target + stop - start] = part[place : place + stop - start]
                place += stop - start

    @property
    def files(self) -> list[IterateFile]:
        """The shards' files."""
        return [file for row in self.rows for file in row.files]

    def verify(self) -> None:
        """Compare every shard's file with its checksum."""
        for row in self.rows:
            row.verify()

    @functools.cached_property
    def key(self) -> bytes:
        """A digest of the shards' digests."""
        return digest("shards", self.stretches, *(row.key for row in self.rows))

    def buffers(self, layout: BufferLayout) -> dict[str, Array]:
        """Read the buffers, which are in the first shard."""
        return self.rows[0].buffers(layout)


def require_same(file: IterateFile) -> None:
    """Raise RunFormatError if the file at the path is no longer the opened one, by its checksum."""
    try:
        with file.path.open("rb") as found:
            length = int.from_bytes(found.read(8), "little")
            same = 8 + length == file.offset
            same = same and json.loads(found.read(length))["__metadata__"]["crc32"] == str(file.crc32)
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise RunFormatError(f"{file.path}: expected the iterate at the opening of the run, got another")


def _place(file: IterateFile) -> tuple[object, ...]:
    return str(file.path.absolute()), file.offset, file.nbytes, file.crc32


def digest(*parts: object) -> bytes:
    """Make a 32-byte key of a row."""
    return hashlib.sha256(repr(parts).encode()).digest()


def _last_of(file: IterateFile, layout: BufferLayout) -> dict[str, Array]:
    data = np.empty(layout.nbytes, np.uint8)
    file.read(file.nbytes - layout.nbytes, data)
    return layout.split(data.tobytes())


def _overlaps(ranges: Ranges, stretches: Ranges) -> tuple[list[tuple[int, int]], list[int]]:
    """Find the requested columns of a shard, and their places in the output."""
    wanted, targets = [], []
    placed = 0
    for start, stop in ranges:
        held = 0
        for first, last in stretches:
            low, high = max(start, first), min(stop, last)
            if low < high:
                wanted.append((held + low - first, held + high - first))
                targets.append(placed + low - start)
            held += last - first
        placed += stop - start
    return wanted, targets
