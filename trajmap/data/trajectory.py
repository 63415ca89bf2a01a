"""A recorded run: T iterates of P parameters, read lazily and without torch."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array, check_array, check_count, frozen_array, worded
from trajmap.data.layout import Layout
from trajmap.data.store import IterateFile, RunHeader, read_iterate_file, verify_iterate
from trajmap.errors import InputError, RunFormatError

__all__ = ["Iterates", "Trajectory"]


class Iterates:
    """The (T, P) matrix of iterates: rows and column ranges are read when asked for.

    Index it as an array: ``iterates[3]``, ``iterates[10:20]``, ``iterates[:, 100:200]``; each gives a NumPy
    array. ``numpy.asarray(iterates)`` reads it whole.

    Parameters
    ----------
    files : sequence of IterateFile
        One file a row.
    dtype : str
        Number format of the files.
    size : int
        Number of entries in a file.
    columns : sequence of slice
        The stretches of a file that make a row, in order.
    """

    ndim = 2

    def __init__(self, files: Sequence[IterateFile], dtype: str, size: int, columns: Sequence[slice]) -> None:
        self._files = list(files)
        self._size = size
        self._columns = list(columns)
        self.dtype = np.dtype(dtype)
        self.shape = (len(self._files), sum(c.stop - c.start for c in self._columns))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Iterates(shape={self.shape}, dtype={self.dtype})"

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

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
        out = np.empty((chosen.size, width), self.dtype)
        for row, i in zip(out, chosen.ravel(), strict=True):
            self._read(int(i), ranges, row)
        return out.reshape(*chosen.shape, width)

    def _ranges(self, start: int, stop: int, step: int) -> list[tuple[int, int]]:
        """Translate a range of this matrix's columns to stretches of a file."""
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

    def _read(self, i: int, ranges: list[tuple[int, int]], out: Array) -> None:
        """Read stretches of a file into `out`; no file is held open, so T may exceed the process's limit."""
        entry, width = self._files[i], self.dtype.itemsize
        data, place = out.view(np.uint8).data, 0
        try:
            with entry.path.open("rb") as file:
                for start, stop in ranges:
                    file.seek(entry.offset + start * width)
                    place += file.readinto(data[place : place + (stop - start) * width])
        except FileNotFoundError as error:
            raise RunFormatError(f"{entry.path}: expected an iterate, got none since the run was opened") from error
        if place != len(data):
            raise RunFormatError(f"{entry.path}: expected {len(data)} bytes of numbers, got {place}")

    def take(self, rows: Array) -> "Iterates":
        """Keep some rows, still lazily."""
        return Iterates([self._files[int(i)] for i in rows], self.dtype.name, self._size, self._columns)

    def narrow(self, columns: Sequence[slice]) -> "Iterates":
        """Keep some column ranges, still lazily."""
        pieces = [slice(*r) for c in columns for r in self._ranges(c.start, c.stop, 1)]
        return Iterates(self._files, self.dtype.name, self._size, pieces)

    @classmethod
    def stack(cls, parts: "Sequence[Iterates]") -> "Iterates":
        """Lay the rows of several runs of one layout below each other, still lazily."""
        first = parts[0]
        return cls([f for part in parts for f in part._files], first.dtype.name, first._size, first._columns)

    def verify(self) -> None:
        """Compare every file's numbers with its checksum; RunFormatError names the first that differs."""
        for i, entry in enumerate(self._files):
            theta = np.empty(self._size, self.dtype)
            self._read(i, [(0, self._size)], theta)
            verify_iterate(entry, theta)


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """T iterates θ₀ … θ_{T−1} of an optimizer, with their steps and scalars.

    Parameters
    ----------
    iterates : Iterates or numpy.ndarray, shape (T, P)
        The parameters, one iterate a row.
    steps : numpy.ndarray, shape (T,)
        Optimizer step of each iterate, strictly increasing.
    scalars : dict of str to numpy.ndarray of shape (T,)
        What was recorded beside each iterate (loss, learning rate, …); NaN where nothing was given.
    layout : Layout
        Which entry of θ is which parameter.
    settings : dict
        What the recorder noted of the run: optimizer and its options, schedule, versions.
    path : pathlib.Path, optional
        The run folder, if there is one.

    Examples
    --------
    >>> run = Trajectory.of(np.arange(6.0).reshape(3, 2))
    >>> run.n_iterates, run.size
    (3, 2)
    >>> run.theta(-1)
    array([4., 5.])
    """

    iterates: Iterates | Array
    steps: Array
    scalars: dict[str, Array]
    layout: Layout
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        if len(self.iterates) < 2:
            raise InputError(worded("iterates", "at least 2 iterates", f"{len(self.iterates)}", "record more steps"))
        if self.iterates.shape[1] != self.layout.size:
            raise InputError(
                worded("iterates", f"{self.layout.size} columns as in the layout", f"{self.iterates.shape[1]}")
            )
        steps = check_array("steps", self.steps, (len(self.iterates),), dtype=np.int64)
        if not np.all(np.diff(steps) > 0):
            raise InputError(worded("steps", "strictly increasing steps", "a repeated or falling one"))
        scalars = {n: frozen_array(check_array(n, v, steps.shape)) for n, v in self.scalars.items()}
        object.__setattr__(self, "steps", frozen_array(steps))
        object.__setattr__(self, "scalars", scalars)

    @classmethod
    def of(
        cls,
        iterates: Array,
        *,
        steps: Array | None = None,
        scalars: dict[str, Array] | None = None,
        layout: Layout | None = None,
    ) -> "Trajectory":
        """Make a trajectory of an array in memory.

        Parameters
        ----------
        iterates : array-like, shape (T, P)
            The iterates.
        steps : array-like, shape (T,), optional
            Their steps; 0 … T−1 by default.
        scalars : dict, optional
            Named arrays of shape (T,).
        layout : Layout, optional
            One parameter ``theta`` of shape (P,) by default.

        Returns
        -------
        Trajectory
            The trajectory; `iterates` is shared, read-only.
        """
        array = check_array("iterates", iterates, (None, None))
        layout = layout or Layout(("theta",), ((array.shape[1],),))
        steps = np.arange(len(array)) if steps is None else steps
        return cls(frozen_array(array), steps, dict(scalars or {}), layout)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Trajectory":
        """Open a run folder; nothing but headers is read.

        Parameters
        ----------
        path : path-like
            A folder written by a Recorder.

        Returns
        -------
        Trajectory
            The run.

        Raises
        ------
        RunFormatError
            If the folder is no run, of another format version, truncated or damaged.
        InputError
            If it holds fewer than two iterates.
        """
        folder = Path(path)
        header = RunHeader.read(folder)
        paths = sorted((folder / "iterates").glob("*.safetensors"))
        files = [read_iterate_file(p, header.layout, header.dtype) for p in paths]
        if len(files) < 2:
            raise InputError(worded(str(folder), "at least 2 iterates", f"{len(files)}", "record more steps"))
        size = header.layout.size
        names = dict.fromkeys(name for file in files for name in file.scalars)
        scalars = {n: np.array([f.scalars.get(n, np.nan) for f in files]) for n in names}
        steps = np.array([file.step for file in files])
        if not np.all(np.diff(steps) > 0):
            raise RunFormatError(f"{folder}: expected increasing steps, got a repeated or falling one")
        iterates = Iterates(files, header.dtype, size, [slice(0, size)])
        return cls(iterates, steps, scalars, header.layout, header.settings, folder)

    @property
    def n_iterates(self) -> int:
        """T, the number of iterates."""
        return len(self.iterates)

    @property
    def size(self) -> int:
        """P, the number of parameters of an iterate."""
        return self.layout.size

    def theta(self, i: int) -> Array:
        """Read one iterate, shape (P,); negative places count from the end."""
        return np.array(self.iterates[check_count("i", i, low=-self.n_iterates, high=self.n_iterates - 1)])

    def take(self, rows: Array) -> "Trajectory":
        """Keep the iterates at some places, in order, lazily.

        Parameters
        ----------
        rows : array-like of int or bool
            Places, or a mask of shape (T,).

        Returns
        -------
        Trajectory
            The shorter trajectory.
        """
        places = np.arange(self.n_iterates)[rows]
        source = self.iterates
        iterates = source.take(places) if isinstance(source, Iterates) else source[places]
        scalars = {name: values[places] for name, values in self.scalars.items()}
        return dataclasses.replace(self, iterates=iterates, steps=self.steps[places], scalars=scalars)

    def thin(self, every: int) -> "Trajectory":
        """Keep every `every`-th iterate, the first included."""
        return self.take(np.arange(0, self.n_iterates, check_count("every", every)))

    def finite(self) -> "Trajectory":
        """Drop the iterates that hold NaN or inf."""
        return self.take(np.array([bool(np.isfinite(row).all()) for row in self.iterates]))

    def select(self, pattern: str | Sequence[str]) -> "Trajectory":
        """Keep the parameters whose names match a shell pattern, lazily.

        Parameters
        ----------
        pattern : str or sequence of str
            As in `Layout.select`.

        Returns
        -------
        Trajectory
            The narrower trajectory.
        """
        layout = self.layout.select(pattern)
        slices = [self.layout.slices[name] for name in layout.names]
        if isinstance(self.iterates, Iterates):
            return dataclasses.replace(self, iterates=self.iterates.narrow(slices), layout=layout)
        columns = np.concatenate([self.iterates[:, where] for where in slices], axis=1)
        return dataclasses.replace(self, iterates=frozen_array(columns), layout=layout)
