"""The matrix of a run's iterates, read lazily."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.number_format import promoted, wide_dtype
from trajmap.data.store.rows import DeltaRow, Known, Ranges, Row, require_same
from trajmap.errors import InputError

__all__ = ["Iterates"]


class Iterates:
    """The (T, P) matrix of iterates: rows and column ranges are read on demand.

    Index it like an array: ``iterates[3]``, ``iterates[10:20]``, ``iterates[:, 100:200]``; each returns a NumPy array.
    ``numpy.asarray(iterates)`` reads the whole matrix.

    Parameters
    ----------
    rows : sequence of Row
        One stored iterate per row.
    stored : str
        Stored number format of the rows. bfloat16 and float16 are read as float32, which is exact, and ``dtype`` is
        then float32.
    columns : sequence of slice
        The ranges of a stored iterate that form a row, in order.
    distance_error : float
        Standard deviation of the relative error of a distance between rows, if they are sketches.
    """

    ndim = 2

    def __init__(
        self, rows: Sequence[Row], stored: str, columns: Sequence[slice], *, distance_error: float = 0.0
    ) -> None:
        self.distance_error = distance_error
        self._rows = list(rows)
        self._columns = list(columns)
        self.stored, self.dtype = stored, wide_dtype(stored)
        self.shape = (len(self._rows), sum(c.stop - c.start for c in self._columns))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Iterates(shape={self.shape}, dtype={self.dtype})"

    def __iter__(self) -> Iterator[Array]:
        ranges = self._ranges(0, self.shape[1], 1)
        known: Known = None
        for row, after in zip(self._rows, [*self._rows[1:], None], strict=True):
            out = np.empty(self.shape[1], self.dtype)
            row.read(ranges, out, known)
            # the user may change the row, so differences are added to a copy
            known = (row, out.copy()) if isinstance(after, DeltaRow) else None
            yield out
            del out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:  # ruff: ignore[boolean-type-hint-positional-argument] - NumPy's protocol
        if copy is False:
            raise ValueError("a lazy array cannot be converted without a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def __getitem__(self, key: Any) -> Array:
        rows, columns = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        if isinstance(rows, tuple) or rows is None or not isinstance(columns, slice):
            raise InputError(worded("index", "rows, or rows and a slice of columns", repr(key)))
        chosen = np.arange(len(self))[rows]
        ranges = self._ranges(*columns.indices(self.shape[1]))
        width = sum(stop - start for start, stop in ranges)
        out = self._read(chosen.ravel(), ranges, np.empty((chosen.size, width), self.dtype))
        return out.reshape(*chosen.shape, width)

    def read(self, columns: slice, out: Array) -> Array:
        """Fill an array with some columns of every row, and return it: ``iterates[:, columns]`` without new memory.

        Parameters
        ----------
        columns : slice
            The columns.
        out : numpy.ndarray, shape (T, number of columns)
            Output; each row contiguous, with the iterates' dtype.

        Returns
        -------
        numpy.ndarray
            `out`.
        """
        return self._read(np.arange(len(self)), self._ranges(*columns.indices(self.shape[1])), out)

    def read_row(self, i: int, out: Array) -> Array:
        """Fill an array with one row, and return it: ``iterates[i]`` without new memory.

        Parameters
        ----------
        i : int
            The row.
        out : numpy.ndarray, shape (P,)
            Output; contiguous, with the iterates' dtype.

        Returns
        -------
        numpy.ndarray
            `out`.
        """
        self._rows[i].read(self._ranges(0, self.shape[1], 1), out, None)
        return out

    def _read(self, places: Array, ranges: Ranges, out: Array) -> Array:
        known: Known = None
        for target, i in zip(out, places, strict=True):
            row = self._rows[int(i)]
            row.read(ranges, target, known)
            known = (row, target)
        return out

    def _ranges(self, start: int, stop: int, step: int) -> Ranges:
        """Translate a range of this matrix's columns to ranges of a stored iterate."""
        if step != 1:
            raise InputError(worded("columns", "a slice with step 1", f"step {step}"))
        found, left = [], 0
        for piece in self._columns:
            width = piece.stop - piece.start
            low, high = max(start - left, 0), min(stop - left, width)
            if low < high:
                found.append((piece.start + low, piece.start + high))
            left += width
        return found

    def row(self, i: int) -> Row:
        """One stored iterate."""
        return self._rows[i]

    @property
    def keys(self) -> list[bytes]:
        """Keys of the rows, 32 bytes each: rows with equal keys hold the same numbers.

        A key depends on files, checksums, columns and number format, so that work on a row is recognised when the run
        is reopened, thinned or reordered. The same numbers under another path have another key.
        """
        ranges = self._ranges(0, self.shape[1], 1)
        joined: list[tuple[int, int]] = []
        for start, stop in ranges:  # columns given in pieces are equal to columns given at once
            if joined and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], stop)
            else:
                joined.append((start, stop))
        columns = repr((joined, self.dtype.name)).encode()
        return [hashlib.sha256(row.key + columns).digest() for row in self._rows]

    @property
    def is_finite(self) -> Array:
        """Which rows hold neither NaN nor inf, shape (T,); rows marked as nonfinite, or never checked, are read."""
        n_nonfinite = [row.file.notes.broken != 0 for row in self._rows]
        return np.array([not (b and not np.isfinite(self[i]).all()) for i, b in enumerate(n_nonfinite)], bool)

    def take(self, rows: Array) -> "Iterates":
        """Keep some rows, still lazily."""
        return self._like([self._rows[int(i)] for i in rows], self._columns)

    def narrow(self, columns: Sequence[slice]) -> "Iterates":
        """Keep some column ranges, still lazily."""
        pieces = [slice(*r) for c in columns for r in self._ranges(c.start, c.stop, 1)]
        return self._like(self._rows, pieces)

    def _like(self, rows: Sequence[Row], columns: Sequence[slice]) -> "Iterates":
        return Iterates(rows, self.stored, columns, distance_error=self.distance_error)

    @classmethod
    def stack(cls, parts: "Sequence[Iterates]") -> "Iterates":
        """Stack the rows of several runs of one layout, still lazily."""
        first = parts[0]
        rows = [row for part in parts for row in part._rows]
        stored = promoted(part.stored for part in parts)
        return Iterates(rows, stored, first._columns, distance_error=first.distance_error)

    def require_same(self) -> None:
        """Check each file's header; RunFormatError names the first one that has changed since opening."""
        for file in {file.path: file for row in self._rows for file in row.files}.values():
            require_same(file)

    def verify(self) -> None:
        """Compare every stored number with its checksum; RunFormatError names the first file that differs."""
        for row in self._rows:
            row.verify()
