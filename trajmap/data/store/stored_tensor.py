"""One tensor in a file of another program: its format, its shape and its place."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Protocol

import numpy as np

from trajmap._validation import Array
from trajmap.data.number_format import FLOATS, read_numbers, stored_dtype
from trajmap.errors import RunFormatError

__all__ = ["SourceFile", "StoredTensor", "TensorInFile", "TensorInPieces", "is_readable"]

_INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def is_readable(dtype: str) -> bool:
    """Whether NumPy supports the numbers of a format."""
    return dtype in FLOATS or dtype in _INTEGERS


class StoredTensor(Protocol):
    """The protocol of a tensor in a row of checkpoints."""

    @property
    def dtype(self) -> str:
        """Number format, with torch's name."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape; a scalar has ()."""

    @property
    def identity(self) -> object:
        """The identity of the tensor, equal for two names of one tensor."""

    def read(self, start: int, out: Array) -> None:
        """Fill an array with entries from a start index on, in C order: bits or numbers, as in `read_numbers`."""

    def verify(self) -> None:
        """Raise RunFormatError if the numbers are no longer available."""


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file of another program, in its state when the header was read."""

    path: Path
    size: int
    changed: int  # modification time, in nanoseconds

    @classmethod
    def of(cls, path: Path) -> "SourceFile":
        """Read the status of a file."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    def read(self, place: int, out: Array) -> None:
        """Fill a contiguous array with the bytes from a position on; RunFormatError if the file has changed."""
        data = out.reshape(-1).view(np.uint8).data
        try:
            with self.path.open("rb") as file:
                self._require_same(os.fstat(file.fileno()))
                file.seek(place)
                found = file.readinto(data)
        except OSError as error:
            raise RunFormatError(f"{self.path}: expected a checkpoint, got {error.strerror or error}") from error
        if found != len(data):
            raise RunFormatError(f"{self.path}: expected {len(data)} bytes of numbers, got {found}")

    def verify(self) -> None:
        """Raise RunFormatError if the file is missing or has changed."""
        try:
            self._require_same(self.path.stat())
        except OSError as error:
            raise RunFormatError(f"{self.path}: expected a checkpoint, got {error.strerror or error}") from error

    def _require_same(self, now: os.stat_result) -> None:
        if (now.st_size, now.st_mtime_ns) != (self.size, self.changed):
            raise RunFormatError(
                f"{self.path}: expected the file that was opened, got a changed one; repair: open it again"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class TensorInFile:
    """A tensor whose numbers are in one file, contiguous or with strides.

    Parameters
    ----------
    file : SourceFile
        The file.
    offset : int
        Position of the first entry in bytes.
    dtype : str
        Number format, with torch's name.
    shape : tuple of int
        Shape.
    strides : tuple of int, optional
        Strides in entries along each dimension; C order by default.

    Raises
    ------
    RunFormatError
        If the file is too short for the tensor.
    """

    file: SourceFile
    offset: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        plain = _c_strides(self.shape)
        if self.strides is not None and (
            0 in self.shape or all(a == b for a, b, n in zip(self.strides, plain, self.shape, strict=True) if n > 1)
        ):
            object.__setattr__(self, "strides", None)
        if min((self.offset, *self.shape, *(self.strides or ()))) < 0:
            raise RunFormatError(f"{self.file.path}: expected shapes and places, got a negative one")
        if is_readable(self.dtype) and self.offset + self._span * stored_dtype(self.dtype).itemsize > self.file.size:
            raise RunFormatError(f"{self.file.path}: expected all bytes of its tensors, got {self.file.size} bytes")

    @property
    def identity(self) -> object:
        """The identity of the tensor, equal for two names of one tensor."""
        return (self.file.path, self.offset, self.shape, self.strides) if math.prod(self.shape) else self

    @property
    def _span(self) -> int:
        """Number of entries from the first to the last."""
        if self.strides is None:
            return math.prod(self.shape)
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))

    def read(self, start: int, out: Array) -> None:
        """Fill an array with entries from a start index on, in C order."""
        if self.strides is None:
            read_numbers(lambda place, part: self.file.read(self.offset + place, part), self.dtype, start, out)
            return
        span = np.empty(self._span, stored_dtype(self.dtype))
        self.file.read(self.offset, span)
        view = np.lib.stride_tricks.as_strided(span, self.shape, [step * span.itemsize for step in self.strides])
        numbers = np.ascontiguousarray(view).reshape(-1)
        read_numbers(lambda place, part: _copy_bytes(numbers, place, part), self.dtype, start, out)

    def verify(self) -> None:
        """Raise RunFormatError if the file is missing or has changed."""
        self.file.verify()


@dataclasses.dataclass(frozen=True, eq=False)
class TensorInPieces:
    """A tensor whose blocks are in several files.

    Parameters
    ----------
    dtype : str
        Number format, with torch's name.
    shape : tuple of int
        Shape of the whole.
    pieces : tuple
        For each block its start in the whole, and the block.
    """

    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[tuple[tuple[int, ...], StoredTensor], ...]

    @property
    def identity(self) -> object:
        """The tensor itself: blocks are stored separately for each name."""
        return self

    def read(self, start: int, out: Array) -> None:
        """Fill an array with entries from a start index on: whole rows of the first dimension, a few at a time."""
        shape = self.shape or (1,)
        width = max(1, math.prod(shape[1:]))
        most = max(1, 2**20 // width)
        done, stop = 0, start + len(out)
        while done < len(out):
            first = (start + done) // width
            last = min(first + most, -(-stop // width))
            rows = np.empty((last - first, *shape[1:]), out.dtype)
            self._fill(rows, first)
            low = start + done - first * width
            part = rows.reshape(-1)[low : low + len(out) - done]
            out[done : done + len(part)] = part
            done += len(part)

    def _fill(self, rows: Array, first: int) -> None:
        filled = 0
        for place, piece in self.pieces:
            corner, shape = place or (0,), piece.shape or (1,)
            low, high = max(first, corner[0]), min(first + len(rows), corner[0] + shape[0])
            if low >= high:
                continue
            width = math.prod(shape[1:])
            part = np.empty((high - low, *shape[1:]), rows.dtype)
            piece.read((low - corner[0]) * width, part.reshape(-1))
            inner = tuple(slice(at, at + n) for at, n in zip(corner[1:], shape[1:], strict=True))
            rows[slice(low - first, high - first), *inner] = part
            filled += part.size
        if filled != rows.size:
            raise RunFormatError(
                f"tensor of shape {self.shape}: expected blocks that fill it, got {filled} entries of {rows.size}"
            )

    def verify(self) -> None:
        """Raise RunFormatError if a block's file is missing or has changed."""
        for _, piece in self.pieces:
            piece.verify()


def _copy_bytes(numbers: Array, place: int, out: Array) -> None:
    out.reshape(-1).view(np.uint8)[:] = numbers.view(np.uint8)[place : place + out.nbytes]


def _c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
