"""Which files are checkpoints, with their order, steps and contents."""

import itertools
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trajmap._validation import worded
from trajmap.data.checkpoints.distributed import is_distributed_checkpoint, read_distributed_checkpoint
from trajmap.data.checkpoints.safetensors_file import read_safetensors
from trajmap.data.checkpoints.torch_file import read_torch_file
from trajmap.errors import InputError, RunFormatError

__all__ = ["Paths", "bytes_of", "find_checkpoints", "holds_checkpoints", "read_checkpoint", "steps_of"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

_SUFFIXES = (".pt", ".pth", ".pth.tar", ".bin", ".ckpt", ".safetensors")
# files that trainers write next to the weights
_ASIDE = re.compile(r"^(training_args|optimizer|optim|scheduler|scaler|rng_state|random_states|trainer_state)\b")
_WHOLE = tuple(
    f"{stem}.{suffix}"
    for suffix, stems in (
        ("safetensors", ("model", "diffusion_pytorch_model", "adapter_model")),
        ("bin", ("pytorch_model", "diffusion_pytorch_model", "adapter_model")),
    )
    for stem in stems
)
_SHARD = re.compile(r"^(.*)-(\d+)-of-(\d+)\.(safetensors|bin)$")
_STEP_WORDS = ("global_step", "step", "iter", "epoch", "checkpoint", "ckpt")


def find_checkpoints(paths: Paths) -> list[Path]:
    """List checkpoints in the natural order of their names.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Checkpoints: files, or folders in the format of Hugging Face or torch.distributed.checkpoint; or one folder that
        contains several of them.

    Returns
    -------
    list of pathlib.Path
        The checkpoints, 9 before 10.

    Raises
    ------
    InputError
        If a path does not exist.
    """
    given = [Path(paths)] if isinstance(paths, (str, os.PathLike)) else [Path(entry) for entry in paths]
    for entry in given:
        if not entry.exists():
            raise InputError(worded("paths", "existing checkpoints", f"{entry}, which does not exist"))
    if len(given) == 1 and given[0].is_dir() and not is_distributed_checkpoint(given[0]):
        inside = _inside(given[0])
        if len(inside) > 1 or not _weights(given[0]):
            given = inside
    return sorted(given, key=_natural)


def holds_checkpoints(folder: Path) -> bool:
    """Whether a folder without a run contains checkpoints, or is one."""
    return folder.is_dir() and not (folder / "run.json").exists() and bool(find_checkpoints(folder))


def steps_of(found: Sequence[Path]) -> list[int]:
    """Read the steps from the names of checkpoints.

    Parameters
    ----------
    found : sequence of pathlib.Path
        The checkpoints, in order.

    Returns
    -------
    list of int
        The number after ``step``, ``iter``, ``epoch`` or ``checkpoint``, the first in this list whose numbers increase;
        else the last integer of each name, if these increase; else their positions.
    """
    names = [entry.stem if entry.is_file() else entry.name for entry in found]
    patterns = [rf"{word}[=_-]?(\d+)" for word in _STEP_WORDS] + [r"(?<![\d.])(\d+)(?!\.?\d)"]
    for pattern in patterns:
        numbers = [re.findall(pattern, name, re.IGNORECASE) for name in names]
        if all(numbers):
            steps = [int(last[-1]) for last in numbers]
            if all(a < b for a, b in itertools.pairwise(steps)):
                return steps
    return list(range(len(found)))


def read_checkpoint(entry: Path) -> dict[str, Any]:
    """Read the content of a checkpoint; its tensors stay in the file.

    Parameters
    ----------
    entry : pathlib.Path
        A file or a folder.

    Returns
    -------
    dict
        Tensors, dicts of them, and other entries.

    Raises
    ------
    InputError
        If it cannot be read, or is not a dict.
    """
    try:
        if entry.is_dir() and is_distributed_checkpoint(entry):
            return read_distributed_checkpoint(entry)
        contents = [_read_file(file) for file in (_weights(entry) if entry.is_dir() else [entry])]
    except RunFormatError as error:
        got = f"{entry}, which cannot be read as tensors ({str(error).removeprefix(f'{entry}: ')})"
        raise InputError(worded("paths", "checkpoints of tensors", got, "save model.state_dict()")) from error
    merged: dict[str, Any] = {}
    for content in contents:
        if not isinstance(content, dict) or (not content and type(content) is not dict):
            got = f"{entry}, a {type(content).__name__}"
            raise InputError(worded("paths", "checkpoints with a state dict", got, "save model.state_dict()"))
        merged.update(content)
    return merged


def bytes_of(entry: Path) -> int:
    """Bytes of the weight files of a checkpoint."""
    if entry.is_file():
        return entry.stat().st_size
    files = entry.glob("*.distcp") if is_distributed_checkpoint(entry) else iter(_weights(entry))
    return sum(file.stat().st_size for file in files)


def _read_file(file: Path) -> Any:
    if not file.is_file():
        raise RunFormatError(f"{file.name}: expected a file of weights, got none")
    return read_safetensors(file) if file.suffix == ".safetensors" else read_torch_file(file)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which checkpoint-9 comes before checkpoint-10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _files(folder: Path) -> list[Path]:
    """Files of a folder that may hold weights."""
    return [
        e for e in sorted(folder.iterdir()) if e.name.endswith(_SUFFIXES) and e.is_file() and not _ASIDE.match(e.name)
    ]


def _inside(folder: Path) -> list[Path]:
    """Checkpoints in a folder: files, or folders if there are more of them."""
    folders = [e for e in folder.iterdir() if e.is_dir() and (is_distributed_checkpoint(e) or _weights(e))]
    files = [] if _shards(folder) else _files(folder)
    return folders if len(folders) > len(files) else files


def _weights(folder: Path) -> list[Path]:
    """Weight files of a folder that is one checkpoint; empty if it is not one."""
    shards = _shards(folder)
    if shards:
        return shards
    whole = [folder / name for name in _WHOLE if (folder / name).is_file()]
    files = _files(folder)
    return whole[:1] or (files if len(files) == 1 else [])


def _shards(folder: Path) -> list[Path]:
    """Shards of a checkpoint, by its index or by their numbers."""
    indices = sorted(folder.glob("*.safetensors.index.json")) + sorted(folder.glob("*.bin.index.json"))
    if indices:
        return _indexed(indices[0])
    matches = [match for match in map(_SHARD.match, (file.name for file in _files(folder))) if match]
    if not matches:
        return []
    stem, _, many, suffix = matches[0].groups()
    digits = len(matches[0].group(2))
    return [folder / f"{stem}-{i:0{digits}d}-of-{many}.{suffix}" for i in range(1, int(many) + 1)]


def _indexed(index: Path) -> list[Path]:
    try:
        shards = list(dict.fromkeys(map(str, json.loads(index.read_bytes())["weight_map"].values())))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(worded("paths", "an index of shards", f"{index}, a damaged one ({error})")) from error
    for shard in shards:
        if Path(shard).name != shard or shard in {".", ".."}:
            raise InputError(worded("paths", "shards next to their index", f"{index}, which refers to {shard!r}"))
    return [index.parent / shard for shard in shards]
