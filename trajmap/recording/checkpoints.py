"""Make a run of checkpoints that a training script has left behind."""

import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.data.layout import Layout
from trajmap.data.store import RunHeader
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError
from trajmap.recording.writer import RunWriter

__all__ = ["find_checkpoints", "from_checkpoints"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
State = dict[str, torch.Tensor]

_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
# where training scripts put the parameters inside what they save
_NESTS = ("state_dict", "model_state_dict", "model", "module")
# running statistics of normalisation layers: state, but no parameters
_STATISTICS = re.compile(r"(^|\.)(running_mean|running_var|num_batches_tracked)$")


def from_checkpoints(
    paths: Paths,
    path: str | os.PathLike[str],
    *,
    model: torch.nn.Module | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Copy the parameters of checkpoints into a run folder, one at a time.

    Understood are ``.pt``, ``.pth`` and ``.bin`` files of a state dict, bare or under ``state_dict``,
    ``model_state_dict``, ``model`` or ``module``; Lightning's ``.ckpt``; ``.safetensors``; and Hugging Face's
    ``checkpoint-*`` folders, sharded ones included. Nothing but tensors is loaded: a file that holds Python
    objects is refused.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Checkpoints, or a folder of them. They are taken in the natural order of their names, 9 before 10.
    path : path-like
        The run folder to make.
    model : torch.nn.Module, optional
        Take its trainable parameters, by name. By default every floating tensor of the first checkpoint is taken,
        except running statistics; a tensor under two names is taken once.
    overwrite : bool
        Replace an existing run folder.
    progress : callable, optional
        Called with the checkpoints done and their number.

    Returns
    -------
    Trajectory
        The run. A step is the last number in the checkpoint's name when these increase, otherwise its place;
        ``settings["left_out"]`` lists the tensors that were not taken.

    Raises
    ------
    InputError
        If there are fewer than two checkpoints, or one cannot be read.
    LayoutError
        If a checkpoint lacks a parameter or has it in another shape; the message lists them.
    """
    found = find_checkpoints(paths)
    if len(found) < 2:
        raise InputError(worded("paths", "at least 2 checkpoints", f"{len(found)}"))
    first = _load(found[0])
    layout, wide = _layout(first, model)
    settings = {
        "checkpoints": [file.name for file in found],
        "left_out": [name for name in first if name not in layout.slices],
    }
    for file, state in zip(found, _states(found, first), strict=True):
        _require(layout, state, file)
    writer = RunWriter(Path(path), overwrite=overwrite)
    writer.begin(RunHeader(layout, "float64" if wide else "float32", settings))
    for done, (step, state) in enumerate(zip(_steps(found), _states(found, first), strict=True)):
        slot = writer.acquire(wait=True)
        assert slot is not None
        for name, where in layout.slices.items():
            torch.from_numpy(slot.theta)[where].copy_(state[name].reshape(-1))
        writer.write(slot, step=step, scalars={})
        if progress is not None:
            progress(done + 1, len(found))
    writer.close()
    if writer.error is not None:
        raise writer.error
    return Trajectory.open(path)


def find_checkpoints(paths: Paths) -> list[Path]:
    """List checkpoints in the natural order of their names.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files, ``checkpoint-*`` folders, or one folder that holds either.

    Returns
    -------
    list of pathlib.Path
        The checkpoints.

    Raises
    ------
    InputError
        If a path does not exist.
    """
    given = [Path(paths)] if isinstance(paths, (str, os.PathLike)) else [Path(entry) for entry in paths]
    for entry in given:
        if not entry.exists():
            raise InputError(worded("paths", "existing checkpoints", f"{entry}, which is not there"))
    if len(given) == 1 and given[0].is_dir() and not _weights(given[0]):
        inside = list(given[0].iterdir())
        given = [e for e in inside if e.suffix in _SUFFIXES and e.is_file()] or [e for e in inside if _weights(e)]
    return sorted(given, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which checkpoint-9 comes before checkpoint-10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _steps(found: list[Path]) -> list[int]:
    numbers = [re.findall(r"\d+", entry.stem if entry.is_file() else entry.name) for entry in found]
    if all(numbers):
        steps = [int(last[-1]) for last in numbers]
        if all(a < b for a, b in itertools.pairwise(steps)):
            return steps
    return list(range(len(found)))


def _states(found: list[Path], first: State) -> Iterator[State]:
    yield first
    for file in found[1:]:
        yield _load(file)


def _weights(folder: Path) -> list[Path]:
    """Weight files of a Hugging Face checkpoint folder, sharded or whole."""
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        index = folder / name
        if index.is_file():
            shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / shard for shard in dict.fromkeys(shards)]
    whole = (folder / name for name in ("model.safetensors", "pytorch_model.bin"))
    return [file for file in whole if file.is_file()][:1]


def _load(entry: Path) -> State:
    state: State = {}
    for file in _weights(entry) if entry.is_dir() else [entry]:
        state.update(_load_file(file))
    if not state:
        raise InputError(worded("paths", "checkpoints with tensors", f"{entry}, which holds none"))
    return state


def _load_file(file: Path) -> State:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        got = f"{file}, which cannot be read as tensors ({str(error).splitlines()[0]})"
        raise InputError(worded("paths", "checkpoints of tensors", got, "save model.state_dict()")) from error
    for name in _NESTS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict):
        raise InputError(worded("paths", "checkpoints with a state dict", f"{file}, a {type(content).__name__}"))
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _layout(state: State, model: torch.nn.Module | None) -> tuple[Layout, bool]:
    """Which tensors to take, and whether any is float64."""
    if model is not None:
        chosen = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    else:
        chosen, seen = {}, set()
        for name, value in state.items():
            storage = (value.data_ptr(), value.shape, value.stride())
            if value.is_floating_point() and not _STATISTICS.search(name) and storage not in seen:
                chosen[name] = value
                seen.add(storage)
    layout = Layout(tuple(chosen), tuple(tuple(value.shape) for value in chosen.values()))
    return layout, any(value.dtype == torch.float64 for value in chosen.values())


def _require(layout: Layout, state: State, file: Path) -> None:
    missing = [name for name in layout.names if name not in state]
    if missing:
        listed = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise LayoutError(worded(str(file), "all parameters", f"a checkpoint without {len(missing)} of them: {listed}"))
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        if tuple(state[name].shape) != shape:
            raise LayoutError(worded(str(file), f"{name} of shape {shape}", f"shape {tuple(state[name].shape)}"))
