"""A series of checkpoints as a run, with rows that are read in place."""

import dataclasses
import functools
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array, frozen_array, worded
from trajmap.data.checkpoints.files import read_checkpoint
from trajmap.data.checkpoints.names import State, Wanted, is_average, state_of
from trajmap.data.history import History
from trajmap.data.layout import Layout
from trajmap.data.number_format import FLOATS, promoted, wide_dtype
from trajmap.data.store.buffers import BufferLayout
from trajmap.data.store.rows import Known, Ranges, Row, digest
from trajmap.data.store.store import IterateFile, Notes, RunHeader
from trajmap.data.store.stored_tensor import StoredTensor, is_readable
from trajmap.errors import InputError, LayoutError, RunFormatError

__all__ = ["CheckpointRow", "open_checkpoints", "open_linked", "statistics"]

# running statistics of normalisation layers: state, but no parameters
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclasses.dataclass(frozen=True, eq=False)
class CheckpointRow:
    """An iterate whose tensors are in files of other programs.

    Parameters
    ----------
    file : IterateFile
        Path and notes; a checkpoint has no checksum.
    tensors : tuple of StoredTensor
        The parameters, in layout order.
    layout : Layout
        Of the parameters.
    kept : dict of str to StoredTensor
        The buffers.
    """

    file: IterateFile
    tensors: tuple[StoredTensor, ...]
    layout: Layout
    kept: dict[str, StoredTensor]

    def read(self, ranges: Ranges, out: Array, known: Known = None) -> None:
        """Read each range from the tensors that it overlaps."""
        bounds = [0, *itertools.accumulate(self.layout.sizes)]
        place = 0
        for start, stop in ranges:
            first = int(np.searchsorted(bounds, start, side="right")) - 1
            for tensor, low, high in zip(self.tensors[first:], bounds[first:], bounds[first + 1 :], strict=False):
                if low >= stop:
                    break
                begin, end = max(start, low), min(stop, high)
                tensor.read(begin - low, out[place : place + end - begin])
                place += end - begin

    def verify(self) -> None:
        """Raise RunFormatError if a file is missing, or has changed since the run was opened."""
        for tensor in (*self.tensors, *self.kept.values()):
            tensor.verify()

    @property
    def files(self) -> list[IterateFile]:
        """None, because there are no checksums: each read checks that its file is still the opened one."""
        return []

    @functools.cached_property
    def key(self) -> bytes:
        """A digest of the tensors' places, and of the files' sizes and times."""
        return digest("checkpoint", str(self.file.path.absolute()), *self.tensors)

    def buffers(self, layout: BufferLayout) -> dict[str, Array]:
        """Read the buffers that a layout lists."""
        found = layout.empty()
        for name, array in found.items():
            self.kept[name].read(0, array.reshape(-1))
        return {name: frozen_array(array) for name, array in found.items()}


def open_checkpoints(
    paths: Sequence[Path],
    steps: Sequence[int],
    *,
    key: str | None = None,
    select: str | Sequence[str] | None = None,
    wanted: Wanted | None = None,
) -> tuple[RunHeader, list[CheckpointRow]]:
    """Open checkpoints as rows, in place; only their headers are read.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The checkpoints, in order.
    steps : sequence of int
        The step of each.
    key : str, optional
        Where in a checkpoint the state dict is.
    select : str or sequence of str, optional
        Shell patterns of the parameters to take.
    wanted : Wanted, optional
        The model's parameters and buffers; by default those of the first checkpoint.

    Returns
    -------
    header : RunHeader
        Layout, number format, buffers, and the omitted tensors.
    rows : list of CheckpointRow
        The iterates.

    Raises
    ------
    InputError
        If a checkpoint cannot be read, or the choice of the model's tensors is ambiguous.
    LayoutError
        If a checkpoint lacks a parameter or has it with another shape.
    """
    first = state_of(read_checkpoint(paths[0]), key, wanted, paths[0])
    wanted = _of_first(first, paths[0]) if wanted is None else wanted
    layout = Layout(tuple(wanted.parameters), tuple(first.tensors[name].shape for name in wanted.parameters))
    layout = layout if select is None else layout.select(select)
    wanted = Wanted({name: wanted.parameters[name] for name in layout.names}, wanted.buffers)
    states = [first if i == 0 else state_of(read_checkpoint(p), key, wanted, p) for i, p in enumerate(paths)]
    for path, state in zip(paths, states, strict=True):
        _require_shapes(layout, state, path)
    buffers = _common_buffers(wanted.buffers, states)
    dtype = promoted(s.tensors[name].dtype for s in states for name in layout.names)
    taken = {*layout.names, *buffers.names}
    aliases = {other for names in wanted.parameters.values() for other in names}
    settings: dict[str, Any] = {
        "checkpoints": [path.name for path in paths],
        "left_out": [n for n in first.tensors if n not in taken and n not in aliases],
    }
    settings |= {"key": first.key} if first.key else {}
    link = {"files": [str(path) for path in paths], "steps": list(steps), "key": key}
    link |= {"other_names": {name: list(others) for name, others in wanted.parameters.items() if others}}
    header = RunHeader(layout, dtype, settings, buffers, checkpoints=link)
    rows = [_row(p, step, state, header) for p, step, state in zip(paths, steps, states, strict=True)]
    if any(state.averaged for state in states):
        header.settings["averaged"] = True
    return header, rows


def open_linked(folder: Path, header: RunHeader, *, verify: bool = False) -> tuple[list[Row], History]:
    """Open the checkpoints to which a run folder refers; missing or damaged ones are dropped and listed.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder; paths are relative to it.
    header : RunHeader
        Content of its ``run.json``.
    verify : bool
        Also check that all numbers are present, as far as possible without checksums.

    Returns
    -------
    rows : list of Row
        The iterates.
    history : History
        The dropped iterates.
    """
    link = header.checkpoints or {}
    others = link.get("other_names", {})
    wanted = Wanted({name: tuple(others.get(name, ())) for name in header.layout.names}, header.buffers.names)
    rows: list[Row] = []
    dropped = []
    for name, step in zip(link["files"], link["steps"], strict=True):
        path = Path(os.path.normpath(folder / name))
        if not path.exists():
            dropped.append(f"{path.name}: missing")
            continue
        try:
            state = state_of(read_checkpoint(path), link.get("key"), wanted, path)
            _require_shapes(header.layout, state, path)
            row = _row(path, int(step), state, header)
            if verify:
                row.verify()
            rows.append(row)
        except (RunFormatError, InputError, LayoutError) as error:
            dropped.append(f"{path.name}: {str(error).split(': ', 1)[1]}")
    return rows, History(dropped=tuple(dropped))


def statistics(name: str) -> bool:
    """Whether a name is that of a normalisation layer's running statistics."""
    return name.rpartition(".")[2] in _STATISTICS


def _of_first(state: State, path: Path) -> Wanted:
    """Take every floating tensor except statistics and averages; a tensor with two names once."""
    parameters: dict[str, list[str]] = {}
    names: dict[object, str] = {}
    buffers = []
    for name, tensor in state.tensors.items():
        if statistics(name) and is_readable(tensor.dtype):
            buffers.append(name)
        elif tensor.dtype in FLOATS and not is_average(name.partition(".")[0]):
            known = names.setdefault(tensor.identity, name)
            parameters.setdefault(known, []).extend([name] if name != known else [])
    if not parameters:
        got = f"{path}, which holds {', '.join(list(state.tensors)[:8])}"
        raise InputError(worded("paths", "checkpoints with floating tensors of a step", got, "name one with key="))
    return Wanted({name: tuple(others) for name, others in parameters.items()}, tuple(buffers))


def _require_shapes(layout: Layout, state: State, path: Path) -> None:
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        tensor = state.tensors[name]
        if tensor.shape != shape:
            raise LayoutError(worded(str(path), f"{name} of shape {shape}", f"shape {tensor.shape}"))
        if tensor.dtype not in FLOATS:
            raise LayoutError(worded(str(path), f"{name} in real numbers", tensor.dtype, "exclude it with select"))


def _common_buffers(names: Sequence[str], states: Sequence[State]) -> BufferLayout:
    """Keep the buffers that every checkpoint has with one shape."""
    first = states[0].tensors
    kept = [
        name
        for name in names
        if name in first
        and is_readable(first[name].dtype)
        and all(name in s.tensors and _like(s.tensors[name], first[name]) for s in states)
    ]
    dtypes = tuple(wide_dtype(first[name].dtype).name for name in kept)
    return BufferLayout(tuple(kept), tuple(first[name].shape for name in kept), dtypes)


def _like(tensor: StoredTensor, other: StoredTensor) -> bool:
    return (tensor.shape, tensor.dtype) == (other.shape, other.dtype)


def _row(path: Path, step: int, state: State, header: RunHeader) -> CheckpointRow:
    # it has not been checked for NaN and inf
    file = IterateFile(str(path), Notes(step, {}, broken=-1), 0, 0, 0)
    kept = {name: state.tensors[name] for name in header.buffers.names if name in state.tensors}
    if len(kept) < len(header.buffers.names):
        raise LayoutError(worded(str(path), "the buffers of the run", f"{len(kept)} of {len(header.buffers.names)}"))
    return CheckpointRow(file, tuple(state.tensors[name] for name in header.layout.names), header.layout, kept)
