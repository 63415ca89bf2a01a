"""A recorded run: T iterates of P parameters, read lazily and without torch."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array, check_array, check_count, frozen_array, worded
from trajmap.data.checkpoints.files import find_checkpoints, holds_checkpoints, steps_of
from trajmap.data.checkpoints.rows import open_checkpoints
from trajmap.data.history import History
from trajmap.data.layout import Layout
from trajmap.data.number_format import narrowed, promoted
from trajmap.data.store.buffers import BufferLayout
from trajmap.data.store.iterates import Iterates
from trajmap.data.store.rows import Row
from trajmap.data.store.run_folder import read_run
from trajmap.data.store.second_moments import MomentsNote, SecondMoments, write_moments
from trajmap.data.store.store import Notes, RunHeader, iterate_path, new_identity, write_iterate
from trajmap.errors import InputError

__all__ = ["Trajectory"]


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """T iterates θ₀ … θ_{T−1} of an optimizer, with their steps and scalars.

    Parameters
    ----------
    iterates : Iterates or numpy.ndarray, shape (T, P)
        The parameters, one iterate per row.
    steps : numpy.ndarray, shape (T,)
        Optimizer step of each iterate, strictly increasing.
    scalars : dict of str to numpy.ndarray of shape (T,)
        Scalars recorded with each iterate (loss, learning rate, …); NaN for missing ones.
    layout : Layout
        Which entry of θ is which parameter.
    settings : dict
        Settings noted by the recorder: optimizer and its options, schedule, versions.
    path : pathlib.Path, optional
        The run folder, if there is one.
    history : History
        Resumptions of the run, and damaged or superseded iterates of the folder.
    header : RunHeader, optional
        Header of the run folder: buffers, and the sketch if the iterates are sketches.

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
    history: History = dataclasses.field(default_factory=History)
    header: RunHeader | None = None

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
        """Make a trajectory from an array in memory.

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
    def open(cls, path: str | os.PathLike[str], *, verify: bool | None = None) -> "Trajectory":
        """Open a run folder, or a folder of checkpoints; nothing in it is executed.

        A run that is still being written opens with its present iterates. Damaged iterates are omitted and listed in
        ``history.dropped``; superseded iterates of a resumed run are omitted too.

        Checkpoints are read in place, without torch: safetensors, files of ``torch.save``, and folders of Hugging Face
        and torch.distributed.checkpoint. If the choice of the model's tensors is ambiguous, use
        `trajmap.from_checkpoints` with a key or a model.

        Parameters
        ----------
        path : path-like
            A folder written by a Recorder, or a folder of checkpoints.
        verify : bool, optional
            Read every number and omit the iterates that differ from their checksums. By default this is done once per
            file: verified files are remembered in the run's ``verified.npz`` by size and times. False reads only
            headers; True reads all numbers again. Checkpoints have no checksums; True checks that they are complete.

        Returns
        -------
        Trajectory
            The run.

        Raises
        ------
        RunFormatError
            If the folder is not a run, has another format version, or its ``run.json`` is damaged.
        InputError
            If it holds fewer than two iterates.

        Warns
        -----
        RuntimeWarning
            In one line, if iterates are damaged or missing.
        """
        folder = Path(path)
        if not holds_checkpoints(folder):
            header, rows, history = read_run(folder, verify=verify)
            return cls.of_rows(header, rows, path=folder, history=history)
        found = find_checkpoints(folder)
        header, opened = open_checkpoints(found, steps_of(found))
        run = cls.of_rows(header, opened, path=folder)
        if verify:
            for row in opened:
                row.verify()
        return run

    @classmethod
    def of_rows(
        cls, header: RunHeader, rows: Sequence[Row], *, path: Path | None = None, history: History | None = None
    ) -> "Trajectory":
        """Make a trajectory from two or more stored iterates, in order of their steps."""
        if len(rows) < 2:
            raise InputError(worded(str(path or "rows"), "at least 2 iterates", f"{len(rows)}", "record more steps"))
        notes = [row.file.notes for row in rows]
        names = dict.fromkeys(name for note in notes for name in note.scalars)
        scalars = {n: np.array([note.scalars.get(n, np.nan) for note in notes]) for n in names}
        steps = np.array([note.step for note in notes])
        error = 0.5 * (2 / header.layout.size) ** 0.5 if header.sketch else 0.0
        iterates = Iterates(rows, header.dtype, [slice(0, header.layout.size)], distance_error=error)
        return cls(iterates, steps, scalars, header.layout, header.settings, path, history or History(), header)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trajectory as a run folder, in the format of a Recorder; read it with `open`.

        Parameters
        ----------
        path : path-like
            A new or empty folder.

        Raises
        ------
        InputError
            If the folder is not empty.
        """
        folder = Path(path)
        if folder.exists() and any(folder.iterdir()):
            raise InputError(worded("path", "a new or empty folder", f"{folder}, which is not empty"))
        source = self.iterates
        dtype = source.stored if isinstance(source, Iterates) else promoted([source.dtype.name, "float32"])
        kept = self.header.buffers if self.header is not None else BufferLayout()
        header = RunHeader(self.layout, dtype, self.settings, kept, identity=new_identity())
        header.write(folder)
        for i, theta in enumerate(self.iterates):
            scalars = {name: float(values[i]) for name, values in self.scalars.items() if not np.isnan(values[i])}
            notes = Notes(int(self.steps[i]), scalars, broken=int(np.count_nonzero(~np.isfinite(theta))))
            buffers = list(self.buffers(i).values())
            write_iterate(iterate_path(folder, i), header, narrowed(theta, dtype), notes, buffers=buffers)
        self._save_moments(folder, header.identity)

    def _save_moments(self, folder: Path, run: str) -> None:
        moments = self.second_moments
        for place, step in enumerate(self.steps.tolist()):
            if step in moments:
                note = MomentsNote(run, place, step, -1)
                counts = moments.counts(step)
                write_moments(folder, note, moments[step], counts, np.ones(len(counts), np.int64))

    @property
    def n_iterates(self) -> int:
        """T, the number of iterates."""
        return len(self.iterates)

    @property
    def size(self) -> int:
        """P, the number of parameters of an iterate."""
        return self.layout.size

    @property
    def training_loss(self) -> tuple[str, Array] | None:
        """Name and values, shape (T,), of the first scalar called ``train_loss`` or ``loss``; None without one."""
        return next(((n, values) for n, values in self.scalars.items() if n in {"train_loss", "loss"}), None)

    @property
    def is_finite(self) -> Array:
        """Which iterates hold neither NaN nor inf, shape (T,)."""
        if isinstance(self.iterates, Iterates):
            return self.iterates.is_finite
        return np.asarray(np.isfinite(self.iterates).all(axis=1))

    def theta(self, i: int) -> Array:
        """Read one iterate, shape (P,); negative places count from the end."""
        row: Array = self.iterates[check_count("i", i, low=-self.n_iterates, high=self.n_iterates - 1)]
        return row if isinstance(self.iterates, Iterates) else np.array(row)  # the former is a new array

    def buffers(self, i: int) -> dict[str, Array]:
        """Read the buffers recorded with one iterate, such as BatchNorm's statistics, by name.

        Parameters
        ----------
        i : int
            Place of the iterate; negative places count from the end.

        Returns
        -------
        dict of str to numpy.ndarray
            Read-only; empty if none were recorded.
        """
        i = check_count("i", i, low=-self.n_iterates, high=self.n_iterates - 1)
        if self.header is None or not isinstance(self.iterates, Iterates):
            return {}
        return self.iterates.row(i).buffers(self.header.buffers)

    @property
    def second_moments(self) -> SecondMoments:
        """Second moments of an adaptive optimizer by step: a mapping to arrays of shape (P,), read lazily.

        Adam's ``exp_avg_sq`` without its bias correction (the maximum for ``amsgrad``), RMSprop's ``square_avg`` (the
        variance if centred), Adagrad's ``sum``, Adamax's ``exp_inf``; NaN for parameters without any. A recorder stores
        them at a few iterates; empty for other optimizers and for checkpoints.
        """
        if self.header is None or self.header.sketch or not isinstance(self.iterates, Iterates):
            return SecondMoments((), "", self.layout, self.layout)
        rows = [self.iterates.row(i) for i in range(self.n_iterates)]
        run = "" if self.header.shards else self.header.identity  # each shard has its own identity
        return SecondMoments(rows, run, self.header.layout, self.layout)

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
        """Keep every `every`-th iterate, including the first."""
        return self.take(np.arange(0, self.n_iterates, check_count("every", every)))

    def finite(self) -> "Trajectory":
        """Drop the iterates that hold NaN or inf."""
        return self.take(self.is_finite)

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
