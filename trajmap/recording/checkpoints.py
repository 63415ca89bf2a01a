"""Checkpoints of a training script as a run: read in place, or copied into a run folder."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from trajmap._models import unwrapped
from trajmap._validation import check_choice, check_count, worded
from trajmap.data.checkpoints.files import Paths, find_checkpoints, steps_of
from trajmap.data.checkpoints.names import Wanted
from trajmap.data.checkpoints.rows import CheckpointRow, open_checkpoints
from trajmap.data.number_format import FLOATS, promoted, stored_dtype, wide_dtype
from trajmap.data.store.store import RunHeader, new_identity
from trajmap.data.store.stored_tensor import StoredTensor
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.recording.encoding import DeltaRows, FullRows
from trajmap.recording.selections import kept_buffers
from trajmap.recording.sketch import CountSketch, Sketcher
from trajmap.recording.snapshot import Slot
from trajmap.recording.writer import RunWriter

__all__ = ["DTYPES", "from_checkpoints", "link_checkpoints"]

DTYPES = ("native", *FLOATS, "delta16")

_PIECE = 2**20  # entries converted at once


def from_checkpoints(
    paths: Paths,
    path: str | os.PathLike[str] | None = None,
    *,
    model: torch.nn.Module | None = None,
    key: str | None = None,
    select: str | Sequence[str] | None = None,
    steps: Sequence[int] | None = None,
    dtype: str = "native",
    sketch: CountSketch | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Open checkpoints as a run in place, or copy their parameters into a run folder.

    Supported formats: files of ``torch.save`` (``.pt``, ``.pth``, ``.bin``), flat or nested; Lightning's ``.ckpt``;
    ``.safetensors``; Hugging Face's ``checkpoint-*`` folders, also sharded ones; and folders of
    ``torch.distributed.checkpoint``. No code in them is executed. Without `path`, columns are read from the files on
    demand; at most one iterate is in memory, and the files must not change.

    The prefixes of wrappers (``module.``, ``_orig_mod.``) are removed. Averages (EMA, SWA) stored with the weights are
    used only if `key` names them. BatchNorm's statistics become the iterates' buffers.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Checkpoints, or a folder of them, read in the natural order of their names: 9 before 10.
    path : path-like, optional
        The run folder to create; by default nothing is written.
    model : torch.nn.Module, optional
        Take its trainable parameters and its buffers, by name. By default every floating tensor of the first
        checkpoint is taken; a tensor under two names is taken once.
    key : str, optional
        Where the state dict is in a checkpoint, for example ``"ema"`` or ``"state.model"``: a path through nested
        dicts, or a prefix of the tensors' names.
    select : str or sequence of str, optional
        Take the parameters whose names match a shell pattern; with `model`, also those that are not trainable.
    steps : sequence of int, optional
        The step of each checkpoint. By default a number in their names if these increase, otherwise their positions.
    dtype : str
        Number format of the run folder: ``"native"``, the smallest that is exact for all; ``"float64"``,
        ``"float32"``, ``"bfloat16"`` or ``"float16"``, rounded to the nearest; or ``"delta16"`` as in `Recorder`.
    sketch : CountSketch, optional
        Store a short random projection of each checkpoint instead.
    overwrite : bool
        Replace an existing run folder.
    progress : callable, optional
        Called with the number of checkpoints done and the total.

    Returns
    -------
    Trajectory
        The run. ``settings["left_out"]`` lists the tensors that were not taken.

    Raises
    ------
    InputError
        If there are fewer than two checkpoints, one cannot be read, or the choice of its tensors is ambiguous.
    LayoutError
        If a checkpoint lacks a parameter or has it with another shape; the message lists them.

    Warns
    -----
    RuntimeWarning
        If the checkpoints describe themselves as averages, and no key named them.
    """
    check_choice("dtype", dtype, DTYPES)
    header, rows = _opened(paths, model, key, select, steps)
    if path is None:
        if dtype != "native" or sketch is not None:
            raise InputError(worded("path", "a run folder to write", "none", "pass path, or omit dtype and sketch"))
        given = Path(paths) if isinstance(paths, (str, os.PathLike)) else None
        return Trajectory.of_rows(header, rows, path=given)
    _copy(header, rows, Path(path), dtype, sketch, overwrite=overwrite, progress=progress)
    return Trajectory.open(path)


def link_checkpoints(
    paths: Paths,
    path: str | os.PathLike[str],
    *,
    model: torch.nn.Module | None = None,
    key: str | None = None,
    select: str | Sequence[str] | None = None,
    steps: Sequence[int] | None = None,
    overwrite: bool = False,
) -> Trajectory:
    """Make a run folder that refers to checkpoints without copying; the files must not be moved or changed.

    Parameters
    ----------
    paths, model, key, select, steps
        As in `from_checkpoints`.
    path : path-like
        The run folder to make. It refers to the checkpoints by relative paths.
    overwrite : bool
        Replace an existing run folder.

    Returns
    -------
    Trajectory
        The run.

    Raises
    ------
    InputError
        As in `from_checkpoints`.
    LayoutError
        As in `from_checkpoints`.
    """
    header, _ = _opened(paths, model, key, select, steps)
    assert header.checkpoints is not None
    folder = Path(path)
    header.checkpoints["files"] = [_relative(Path(name), folder) for name in header.checkpoints["files"]]
    writer = RunWriter(folder, overwrite=overwrite, slots=0)
    writer.begin(header, lambda: Slot(np.empty(0)))
    writer.close()
    return Trajectory.open(folder)


def _opened(
    paths: Paths,
    model: torch.nn.Module | None,
    key: str | None,
    select: str | Sequence[str] | None,
    steps: Sequence[int] | None,
) -> tuple[RunHeader, list[CheckpointRow]]:
    found = find_checkpoints(paths)
    if len(found) < 2:
        raise InputError(worded("paths", "at least 2 checkpoints", f"{len(found)}"))
    wanted = None if model is None else _wanted(unwrapped(model), trainable=select is None)
    places = steps_of(found) if steps is None else [check_count("steps", step, low=0) for step in steps]
    if len(places) != len(found):
        raise InputError(worded("steps", f"{len(found)} steps, one per checkpoint", f"{len(places)}"))
    header, rows = open_checkpoints(found, places, key=key, select=select, wanted=wanted)
    if header.settings.get("averaged") and key is None:
        message = (
            f"{found[0]}: these checkpoints describe themselves as averages over steps, not the weights of one step"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    return header, rows


def _wanted(model: torch.nn.Module, *, trainable: bool) -> Wanted:
    """List the names that a checkpoint may use for a model's parameters; a tied one has several."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter.requires_grad or not trainable:
            names.setdefault(id(parameter), []).append(name)
    if not names:
        raise InputError(worded("model", "a model with trainable parameters", "none", "name them with select"))
    return Wanted({name: tuple(others) for name, *others in names.values()}, tuple(kept_buffers(model)))


def _relative(file: Path, folder: Path) -> str:
    try:
        return os.path.relpath(file.resolve(), folder.resolve())
    except ValueError:  # on another drive
        return str(file.resolve())


def _copy(
    source: RunHeader,
    rows: Sequence[CheckpointRow],
    path: Path,
    dtype: str,
    sketch: CountSketch | None,
    *,
    overwrite: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    header, fill = _target(source, dtype, sketch)
    # the next iterate is read while the previous one is written; differences need two more iterates
    encoding, slots = (DeltaRows(), 1) if dtype == "delta16" else (FullRows(), 2)
    writer = RunWriter(path, overwrite=overwrite, encoding=encoding, slots=slots)
    rest = [] if sketch else rows
    writer.begin(header, lambda: Slot(np.empty(header.layout.size, stored_dtype(header.dtype))))
    try:
        for done, row in enumerate(rows):
            slot = writer.acquire(wait=True)
            if slot is None:
                break
            fill(row, slot.theta)
            slot.buffers = tuple(row.buffers(header.buffers).values()) if rest else ()
            writer.write(slot, step=row.file.notes.step, scalars={})
            if progress is not None:
                progress(done + 1, len(rows))
    finally:
        writer.close()
    if writer.error is not None or writer.trouble is not None:
        raise writer.error or writer.trouble  # type: ignore[misc]
    if writer.n_written < len(rows):
        raise TimeoutError(f"{path}: the disk does not respond")


def _target(
    source: RunHeader, dtype: str, sketch: CountSketch | None
) -> tuple[RunHeader, Callable[[CheckpointRow, np.ndarray], None]]:
    """Make the header of the run folder, and the conversion of a row."""
    layout, settings = source.layout, source.settings
    if sketch is not None:
        if dtype != "native" or sketch.full_every is not None:
            got = f"dtype {dtype!r}" if dtype != "native" else "full_every"
            raise InputError(worded("sketch", "a sketch alone", got, "omit it"))
        sketcher = Sketcher(sketch, layout.size, torch.device("cpu"))
        header = RunHeader(sketch.layout, "float64", settings, sketch=sketch.describe(layout), identity=new_identity())

        def project(row: CheckpointRow, out: np.ndarray) -> None:
            out[:] = sketcher(_pieces(row, layout.size, wide_dtype(source.dtype))).numpy()

        return header, project
    if dtype == "delta16" and source.dtype != "float32":
        got = f"{source.dtype} ones"
        raise InputError(worded("dtype", "float32 parameters for delta16", got, "omit dtype"))
    stored = {"native": source.dtype, "delta16": "float32"}.get(dtype, dtype)
    header = RunHeader(layout, stored, settings, source.buffers, identity=new_identity())

    def convert(row: CheckpointRow, out: np.ndarray) -> None:
        for where, tensor in zip(layout.slices.values(), row.tensors, strict=True):
            _convert(tensor, out[where], stored)

    return header, convert


def _pieces(row: CheckpointRow, size: int, dtype: np.dtype) -> Iterator[torch.Tensor]:
    for start in range(0, size, _PIECE):
        part = np.empty(min(_PIECE, size - start), dtype)
        row.read([(start, start + len(part))], part)
        yield torch.from_numpy(part)


def _convert(tensor: StoredTensor, out: np.ndarray, dtype: str) -> None:
    """Fill an array of a stored format with a tensor's numbers, rounded to the nearest if necessary."""
    if promoted([tensor.dtype, dtype]) == dtype:
        tensor.read(0, out)
        return
    for start in range(0, len(out), _PIECE):
        part = np.empty(len(out[start : start + _PIECE]), wide_dtype(tensor.dtype))
        tensor.read(start, part)
        rounded = torch.from_numpy(part).to(getattr(torch, dtype))
        narrow = rounded.view(torch.int16).numpy().view(out.dtype) if out.itemsize == 2 else rounded.numpy()
        out[start : start + _PIECE] = narrow
