"""How a run is stored: copies, files and bytes; makes the buffer for it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from trajmap import __version__
from trajmap._validation import worded
from trajmap.data.layout import Layout
from trajmap.data.number_format import FLOATS, promoted
from trajmap.data.plain import plain_json
from trajmap.data.store.buffers import BufferLayout
from trajmap.data.store.store import RunHeader, new_identity
from trajmap.errors import InputError
from trajmap.recording.budget import Budget, Pace, bytes_of
from trajmap.recording.distributed import RankPlan
from trajmap.recording.encoding import DeltaRows, FullRows
from trajmap.recording.run_buffer import RunBuffer
from trajmap.recording.sketch import CountSketch, SketchSnapshot
from trajmap.recording.snapshot import Snapshot, local_tensor, make_snapshot, stored_dtype
from trajmap.recording.writer import RunWriter

__all__ = ["Storage", "checked_settings", "make_buffer"]

_RESERVED = ("ends", "every", "model", "optimizer", "optimizers", "unrecorded", "untrained", "versions")


@dataclasses.dataclass(frozen=True)
class Storage:
    """How and where iterates are stored."""

    deltas: bool
    sketch: CountSketch | None
    wait: bool
    overwrite: bool
    resume: bool
    budget: int | None = None
    every: int | None = None  # steps from one iterate to the next, if fixed


def make_buffer(
    plan: RankPlan, buffers: Mapping[str, torch.Tensor], settings: dict[str, Any], storage: Storage
) -> "RunBuffer":
    """Make the buffer of a process's part of a run; nothing is written yet."""
    own = list(plan.parameters.values())
    header = _make_header(plan.parameters, buffers, settings, storage.sketch)
    if storage.deltas and header.dtype != "float32":
        got = "a sketch" if storage.sketch else f"{header.dtype} parameters"
        raise InputError(worded("dtype", "float32 parameters for delta16", got, "omit dtype"))
    clash = [name for name in ("delta", "scales") if storage.deltas and name in buffers]
    if clash:
        repair = "rename it, or omit dtype"
        raise InputError(
            worded("dtype", "buffers without reserved names for delta16", f"one called {clash[0]}", repair)
        )
    if storage.budget is not None:
        _require_thinnable(storage, plan)
    snapshot: Snapshot
    if storage.sketch is not None:
        snapshot = SketchSnapshot(own, storage.sketch)
    else:
        dtype: torch.dtype = getattr(torch, header.dtype)
        snapshot = make_snapshot(own, list(buffers.values()), header.layout, dtype)
    encoding = DeltaRows() if storage.deltas else FullRows()
    writer = RunWriter(plan.path, overwrite=storage.overwrite, resume=storage.resume, encoding=encoding)
    common = plan.path.parent
    return RunBuffer(
        plan.path,
        writer,
        snapshot,
        header,
        wait=storage.wait,
        before=lambda header: plan.write_common(common, header),
        room=Pace(plan.path, bytes_of(header, {}), storage.every)
        if storage.budget is None
        else Budget(storage.budget, header),
        full=_make_full_buffer(plan, buffers, settings, storage),
    )


def _require_thinnable(storage: Storage, plan: RankPlan) -> None:
    """Raise unless each iterate can be removed separately."""
    repair = "omit budget and choose every, or record plain iterates in one process"
    if storage.deltas:
        raise InputError(worded("budget", "iterates that are stored whole", "dtype='delta16'", repair))
    if storage.sketch is not None and storage.sketch.full_every is not None:
        raise InputError(worded("budget", "one kind of iterates", "sketches and whole iterates", repair))
    if plan.shards is not None:
        raise InputError(worded("budget", "a run that one process writes", "shards", repair))


def _make_full_buffer(
    plan: RankPlan, buffers: Mapping[str, torch.Tensor], settings: dict[str, Any], storage: Storage
) -> "tuple[RunBuffer, int] | None":
    """Make the buffer of the whole iterates of a sketched run, if they are stored."""
    if storage.sketch is None or storage.sketch.full_every is None:
        return None
    whole = dataclasses.replace(plan, path=plan.path / "full", shards=None)
    return make_buffer(whole, buffers, settings, dataclasses.replace(storage, sketch=None)), storage.sketch.full_every


def _make_header(
    chosen: Mapping[str, torch.Tensor],
    buffers: Mapping[str, torch.Tensor],
    settings: dict[str, Any],
    sketch: CountSketch | None,
) -> RunHeader:
    """Make the header of a run with these parameters and buffers."""
    pieces = {name: local_tensor(p) for name, p in chosen.items()}
    layout = Layout(tuple(pieces), tuple(tuple(p.shape) for p in pieces.values()))
    if sketch is not None:
        described = sketch.describe(layout)
        return RunHeader(sketch.layout, "float64", settings, sketch=described, identity=new_identity())
    kept = BufferLayout(
        tuple(buffers),
        tuple(tuple(b.shape) for b in buffers.values()),
        tuple(str(stored_dtype(b.dtype)).removeprefix("torch.") for b in buffers.values()),
    )
    # one format for all, in which each parameter is exact: 16 bits only where all have the same 16
    known = (str(p.dtype).removeprefix("torch.") for p in pieces.values())
    dtype = promoted(name if name in FLOATS else "float32" for name in known)
    return RunHeader(layout, dtype, settings, kept, identity=new_identity())


def checked_settings(settings: Mapping[str, Any] | None, model: torch.nn.Module, every: object) -> dict[str, Any]:
    """Join the recorder's settings with the user's, which must be plain JSON under other names."""
    if settings is not None and not isinstance(settings, Mapping):
        raise InputError(worded("settings", "plain JSON values by name", settings))
    found: dict[str, Any] = plain_json("settings", settings or {})
    taken = [name for name in _RESERVED if name in found]
    if taken:
        raise InputError(worded("settings", f"names other than {', '.join(_RESERVED)}", ", ".join(taken)))
    versions = {"trajmap": __version__, "torch": str(torch.__version__)}
    return {"model": type(model).__name__, "every": plain_json("every", every), "versions": versions, **found}
