"""Several runs of one layout as one cloud of iterates: sisters, branches, repeats."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.layout import Layout
from trajmap.data.store.iterates import Iterates
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError

__all__ = ["Fan"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclasses.dataclass(frozen=True, eq=False)
class Fan:
    """Runs that share a layout, with the run of each iterate.

    One run is a curve without information about its surroundings; a fan of runs has it. A `RowSpace` fitted to
    ``fan.iterates`` is one space for all of them.

    Parameters
    ----------
    names : tuple of str
        One distinct name per run.
    runs : tuple of Trajectory
        The runs.

    Raises
    ------
    InputError
        If there is no run, or a name repeats.
    LayoutError
        If the layouts differ.

    Examples
    --------
    >>> a, b = Trajectory.of(np.zeros((3, 2))), Trajectory.of(np.ones((2, 2)))
    >>> fan = Fan(("a", "b"), (a, b))
    >>> fan.iterates.shape, fan.labels.tolist(), fan.steps.tolist()
    ((5, 2), [0, 0, 0, 1, 1], [0, 1, 2, 0, 1])
    """

    names: tuple[str, ...]
    runs: tuple[Trajectory, ...]

    def __post_init__(self) -> None:
        if not self.runs or len(self.names) != len(self.runs):
            raise InputError(worded("runs", "at least one run, each with a name", f"{len(self.runs)} runs"))
        if len(set(self.names)) != len(self.names):
            raise InputError(worded("names", "distinct names", ", ".join(self.names)))
        for name, run in zip(self.names, self.runs, strict=True):
            self.runs[0].layout.require(run.layout, f"run {name}")

    @classmethod
    def open(cls, paths: Paths) -> "Fan":
        """Open run folders, or a folder of run folders, lazily.

        Parameters
        ----------
        paths : path-like or iterable of path-like
            Run folders; or one folder, whose run folders are taken in the order of their names.

        Returns
        -------
        Fan
            Named after the folders.

        Raises
        ------
        InputError
            If there is no run.
        RunFormatError
            If a run cannot be read.
        """
        given = [Path(paths)] if isinstance(paths, (str, os.PathLike)) else [Path(path) for path in paths]
        if len(given) == 1 and given[0].is_dir() and not (given[0] / "run.json").exists():
            given = sorted(folder for folder in given[0].iterdir() if (folder / "run.json").exists())
        return cls(tuple(folder.name for folder in given), tuple(Trajectory.open(folder) for folder in given))

    @property
    def layout(self) -> Layout:
        """Layout of every run."""
        return self.runs[0].layout

    @property
    def iterates(self) -> Iterates | Array:
        """All iterates, run after run, shape (ΣT, P); lazy when every run is on disk in one number format."""
        lazy = [run.iterates for run in self.runs if isinstance(run.iterates, Iterates)]
        if len(lazy) == len(self.runs) and len({part.dtype for part in lazy}) == 1:
            return Iterates.stack(lazy)
        return np.concatenate([np.asarray(run.iterates) for run in self.runs])

    @property
    def lengths(self) -> dict[str, int]:
        """Number of iterates of each run, by name."""
        return {name: run.n_iterates for name, run in zip(self.names, self.runs, strict=True)}

    @property
    def labels(self) -> Array:
        """Place in `names` of the run of each iterate, shape (ΣT,)."""
        return np.repeat(np.arange(len(self.runs)), [run.n_iterates for run in self.runs])

    @property
    def steps(self) -> Array:
        """Optimizer step of each iterate within its run, shape (ΣT,)."""
        return np.concatenate([run.steps for run in self.runs])

    def rows(self, name: str) -> slice:
        """Rows of one run's iterates among all.

        Parameters
        ----------
        name : str
            Name of the run.

        Returns
        -------
        slice
            Rows of `iterates`.

        Raises
        ------
        InputError
            If no run has this name.
        """
        if name not in self.names:
            raise InputError(worded("name", f"one of {', '.join(self.names)}", repr(name)))
        stops = np.cumsum([run.n_iterates for run in self.runs])
        i = self.names.index(name)
        return slice(int(stops[i] - self.runs[i].n_iterates), int(stops[i]))
