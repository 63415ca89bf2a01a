"""The run folder, version 1: what is on disk and how it is written and read, without torch.

::

    run/
      run.json                        {"format": "trajmap-run", "version": 1, "dtype": "float32",
                                       "names": [...], "shapes": [[...], ...], "settings": {...}}
      iterates/000000000000.safetensors   one file an iterate, named by its place in the run
      artefacts/                      what the command line makes of the run: embeddings, landscapes, …

An iterate's file is an ordinary safetensors file: 8 bytes with the header's length, the JSON header, then the
parameters in layout order, end to end, so that θ is one contiguous stretch and any safetensors reader sees
the tensors by name. The header's ``__metadata__`` keeps ``step``, ``scalars`` (JSON), ``crc32`` of the data
and ``notes_crc32`` of the three; ``run.json`` has a ``crc32`` of its own, so a flipped bit anywhere is found.
Headers are padded with spaces to a multiple of 64 bytes.

One file an iterate was chosen because it loses nothing: a file is written aside, flushed and renamed, so an
iterate is there whole or not at all, whatever kills the writer; nothing in it is executed on opening; and
rows and columns are read in place at the speed of a raw file.
"""

import contextlib
import dataclasses
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.layout import Layout
from trajmap.errors import RunFormatError

__all__ = ["IterateFile", "RunHeader", "iterate_path", "read_iterate_file", "verify_iterate", "write_iterate"]

FORMAT = "trajmap-run"
VERSION = 1
_CODES = {"float32": "F32", "float64": "F64"}
_ALIGN = 64
_LARGEST_HEADER = 100_000_000


@dataclasses.dataclass(frozen=True)
class RunHeader:
    """What ``run.json`` holds: the layout, the number format and the settings of the run."""

    layout: Layout
    dtype: str
    settings: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write ``run.json``, aside and renamed."""
        (folder / "iterates").mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "dtype": self.dtype,
            "names": list(self.layout.names),
            "shapes": [list(shape) for shape in self.layout.shapes],
            "settings": self.settings,
        }
        content["crc32"] = _checksum(content)
        _write_aside(folder / "run.json", [json.dumps(content, indent=1).encode()])

    @classmethod
    def read(cls, folder: Path) -> "RunHeader":
        """Read ``run.json``; a missing, damaged or foreign one raises RunFormatError."""
        path = folder / "run.json"
        if not path.is_file():
            raise RunFormatError(f"{folder}: expected a run folder with a run.json, got none")
        try:
            content = json.loads(path.read_bytes())
            name, version = content["format"], content["version"]
            intact = content.pop("crc32") == _checksum(content)
        except (ValueError, KeyError, TypeError) as error:
            raise RunFormatError(f"{path}: expected the header of a run, got a damaged file ({error})") from error
        if name != FORMAT or version != VERSION:
            raise RunFormatError(
                f"{path}: expected {FORMAT} version {VERSION}, got {name} version {version}; "
                "repair: read it with the release of trajmap that wrote it"
            )
        try:
            layout = Layout(tuple(content["names"]), tuple(tuple(shape) for shape in content["shapes"]))
            dtype = {"float32": "float32", "float64": "float64"}[content["dtype"]]
            if not intact:
                raise ValueError("content that differs from its checksum")
            return cls(layout, dtype, dict(content["settings"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RunFormatError(f"{path}: expected names, shapes, dtype and settings, got {error!r}") from error


@dataclasses.dataclass(frozen=True)
class IterateFile:
    """One iterate on disk: its step, its scalars, and where its numbers begin."""

    path: Path
    step: int
    scalars: dict[str, float]
    offset: int
    crc32: int


def iterate_path(folder: Path, index: int) -> Path:
    """Path of the iterate at a place in the run."""
    return folder / "iterates" / f"{index:012d}.safetensors"


def write_iterate(path: Path, theta: Array, layout: Layout, *, step: int, scalars: Mapping[str, float]) -> None:
    """Write one iterate, durably: aside, flushed to the disk, renamed."""
    data = np.ascontiguousarray(theta)
    notes = {"step": str(step), "scalars": json.dumps(dict(scalars)), "crc32": str(zlib.crc32(data.data))}
    metadata = {**notes, "notes_crc32": _checksum(notes)}
    text = json.dumps({"__metadata__": metadata, **_tensors(layout, data.dtype.name)}).encode()
    text += b" " * (-(len(text) + 8) % _ALIGN)
    _write_aside(path, [len(text).to_bytes(8, "little"), text, data.data])


def read_iterate_file(path: Path, layout: Layout, dtype: str) -> IterateFile:
    """Read an iterate's header and check that the file is whole."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 0 < length < _LARGEST_HEADER else {}
        meta = header.pop("__metadata__")
        if meta.pop("notes_crc32") != _checksum(meta):
            raise ValueError("the notes differ from their checksum")
        scalars = {str(name): float(value) for name, value in json.loads(meta["scalars"]).items()}
        entry = IterateFile(path, int(meta["step"]), scalars, 8 + length, int(meta["crc32"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFormatError(f"{path}: expected an iterate, got a damaged header; {_REPAIR}") from error
    if header != _tensors(layout, dtype):
        raise RunFormatError(f"{path}: expected the tensors that run.json lists, got others; {_REPAIR}")
    expected = entry.offset + layout.size * np.dtype(dtype).itemsize
    if path.stat().st_size != expected:
        raise RunFormatError(f"{path}: expected {expected} bytes, got {path.stat().st_size}; {_REPAIR}")
    return entry


def verify_iterate(entry: IterateFile, theta: Array) -> None:
    """Raise RunFormatError if the numbers of an iterate differ from those that were written."""
    if zlib.crc32(np.ascontiguousarray(theta).data) != entry.crc32:
        raise RunFormatError(f"{entry.path}: expected checksum {entry.crc32}, got another; {_REPAIR}")


def _checksum(words: Any) -> str:
    """CRC-32 of plain JSON values, whatever their order."""
    return str(zlib.crc32(json.dumps(words, sort_keys=True).encode()))


def _tensors(layout: Layout, dtype: str) -> dict[str, Any]:
    """List the tensors of an iterate as safetensors does: in layout order, end to end."""
    width = np.dtype(dtype).itemsize
    return {
        name: {
            "dtype": _CODES[dtype],
            "shape": list(shape),
            "data_offsets": [where.start * width, where.stop * width],
        }
        for (name, where), shape in zip(layout.slices.items(), layout.shapes, strict=True)
    }


_REPAIR = "repair: move this file away to open the rest of the run"


def _write_aside(path: Path, parts: list[Any]) -> None:
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
