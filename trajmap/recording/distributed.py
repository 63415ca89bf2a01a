"""Which process writes which part if several processes train one model."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.data.layout import Layout
from trajmap.data.store.run_folder import shard_folder
from trajmap.data.store.store import RunHeader
from trajmap.errors import InputError

__all__ = ["RankPlan", "role_of"]

Stretch = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class RankPlan:
    """The part of the model that this process records.

    Parameters
    ----------
    path : pathlib.Path
        The folder that it writes.
    parameters : dict of str to torch.Tensor
        The recorded parameters; empty if another process records everything.
    layout : Layout
        Layout of all selected parameters of the model.
    shards : list, optional
        The ranges of θ that each process writes; None if one process writes all.
    is_first : bool
        Whether it writes the common header of the shards.
    """

    path: Path
    parameters: dict[str, torch.Tensor]
    layout: Layout
    shards: list[list[list[int]]] | None = None
    is_first: bool = True

    def write_common(self, path: Path, own: RunHeader) -> None:
        """Write the header that joins the shards, if this process is the first."""
        if self.shards is not None and self.is_first:
            RunHeader(
                self.layout, own.dtype, own.settings, own.buffers, shards=self.shards, identity=own.identity
            ).write(path)


def role_of(path: Path, chosen: Mapping[str, torch.Tensor]) -> RankPlan:
    """Determine what this process records: everything, nothing (not the first of several copies), or its shard.

    Parameters
    ----------
    path : pathlib.Path
        The run folder.
    chosen : mapping of str to torch.Tensor
        The parameters to record; each process writes its own part of a DTensor.

    Returns
    -------
    RankPlan
        Its part. With DTensors all processes must call this together.

    Raises
    ------
    InputError
        If a DTensor is not sharded along its first dimension on a one-dimensional mesh.
    """
    layout = Layout(tuple(chosen), tuple(tuple(p.shape) for p in chosen.values()))
    spread = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if spread else 0
    if not any(_is_dtensor(p) for p in chosen.values()):
        return RankPlan(path, dict(chosen) if rank == 0 else {}, layout, is_first=rank == 0)
    own, stretches = {}, []
    for name, where in layout.slices.items():
        low, high = _local_stretch(name, chosen[name], where, rank)
        if low < high or _is_dtensor(chosen[name]):
            own[name] = chosen[name]
            stretches.append([low, high])
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, stretches)
    return RankPlan(shard_folder(path, rank), own, layout, gathered, rank == 0)


def _is_dtensor(tensor: torch.Tensor) -> bool:
    return hasattr(tensor, "placements")  # importing the class takes a second, which only its users have already spent


def _local_stretch(name: str, tensor: Any, where: slice, rank: int) -> Stretch:
    """Columns of θ that belong to this process's part of a parameter."""
    if not _is_dtensor(tensor):
        return (where.start, where.stop) if rank == 0 else (where.start, where.start)
    if tensor.device_mesh.ndim != 1:
        raise InputError(worded(name, "shards on a one-dimensional mesh", f"{tensor.device_mesh}"))
    (placement,) = tensor.placements
    if placement.is_replicate():
        raise InputError(worded(name, "a plain tensor or a shard", "a replicated DTensor", "exclude it with select"))
    if not placement.is_shard(0):
        raise InputError(worded(name, "shards along the first dimension", f"{placement}"))
    rows = tensor.shape[0]
    chunk = -(-rows // tensor.device_mesh.size())  # as torch.chunk splits, which FSDP follows
    place = tensor.device_mesh.get_local_rank()
    low, high = min(place * chunk, rows), min((place + 1) * chunk, rows)
    width = tensor.numel() // rows if rows else 0
    if tensor.to_local().numel() != (high - low) * width:
        raise InputError(worded(name, f"{high - low} rows in this process", f"{tuple(tensor.to_local().shape)}"))
    return where.start + low * width, where.start + high * width
