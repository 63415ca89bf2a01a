"""The run folder, version 1: what is on disk and how it is written and read, without torch.

::

    run/
      run.json                        {"format": "trajmap-run", "version": 1, "dtype": "float32",
                                       "names": [...], "shapes": [[...], ...], "settings": {...}, …}
      iterates/000000000000.safetensors   one file an iterate, named by its place in the run
      moments/000000000000.npz        an adaptive optimizer's second moments of the iterate at that place, for a few
      artefacts/ results of the command line: embeddings, landscapes, …
      verified.npz the files that were compared with their checksums; written by readers
      writer.json the process that writes the run; removed on closing

An iterate's file is an ordinary safetensors file: 8 bytes with the header's length, the JSON header, then the
concatenated parameters in layout order, so that θ is one contiguous range, then the buffers. Any safetensors reader
finds the tensors by name. The header's ``__metadata__`` contains ``step``, ``scalars`` (JSON), ``crc32`` of the data,
``notes_crc32`` of the notes themselves, ``run`` and ``place`` (the run's identity, a random string in ``run.json``, and
the number of the file), and if applicable ``kind`` (``delta16``), ``seam`` (the step at which a session was resumed,
and the place of its first iterate) and ``broken`` (the number of NaN or inf entries). ``run.json`` has its own
``crc32``, so a flipped bit anywhere is detected. Headers are padded to a multiple of 64 bytes. A run in bfloat16 or
float16 keeps its 16 bits and is read as float32, which is exact.

There is one file per iterate for safety: a file is written under a temporary name, flushed, renamed, and its folder is
flushed, so an iterate is complete or absent, even if the writer is killed. Nothing in it is executed on opening, and
rows and columns are read in place at the speed of a raw file.
"""

import dataclasses
import functools
import json
import math
import os
import re
import secrets
import stat
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.atomic import sync_folder, write_parts
from trajmap.data.layout import Layout
from trajmap.data.number_format import FLOATS, stored_dtype
from trajmap.data.plain import plain_json
from trajmap.data.store.buffers import BufferLayout
from trajmap.data.store.delta16 import BLOCK
from trajmap.data.thinning import Thinning
from trajmap.errors import RunFormatError

__all__ = [
    "IterateFile",
    "Notes",
    "RunHeader",
    "iterate_path",
    "iterate_place",
    "new_identity",
    "read_iterate_file",
    "write_delta",
    "write_iterate",
]

FORMAT = "trajmap-run"
VERSION = 1
_CODES = {
    "bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64", "int8": "I8", "int16": "I16",
    "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL",
}  # fmt: skip
_ALIGN = 64
_NOT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_PIECE = 2**24  # bytes compared with a checksum at once
_LARGEST_NOTES = 16_000_000  # bytes: a hundred thousand scalars of an iterate
_decode = json.JSONDecoder().decode
_quoted = json.encoder.encode_basestring_ascii
_METADATA = b'{"__metadata__": '
_NUMBERED = re.compile(r"[0-9]{12}")
# name, dtype, shape of each tensor of a file, in the order of their bytes
Tensors = list[tuple[str, str, tuple[int, ...]]]


@dataclasses.dataclass(frozen=True)
class RunHeader:
    """Content of ``run.json``: the layout, the number format and the settings of the run.

    A sketched run has its ``sketch`` of a larger model; a run written in shards lists the ranges of θ in each shard; a
    run of checkpoints read in place lists their paths, and a run with a budget of bytes its remaining places.
    """

    layout: Layout
    dtype: str
    settings: dict[str, Any]
    buffers: BufferLayout = dataclasses.field(default_factory=BufferLayout)
    sketch: dict[str, Any] | None = None
    shards: list[list[list[int]]] | None = None
    checkpoints: dict[str, Any] | None = None
    thinning: Thinning | None = None
    identity: str = ""  # a random string that each iterate repeats; runs of an earlier release have none

    def write(self, folder: Path) -> None:
        """Write ``run.json`` atomically."""
        (folder if self.checkpoints else folder / "iterates").mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {"format": FORMAT, "version": VERSION, "dtype": self.dtype}
        content |= {"names": list(self.layout.names), "shapes": [list(shape) for shape in self.layout.shapes]}
        content |= {"settings": plain_json("settings", self.settings)}
        content |= {"id": self.identity} if self.identity else {}
        if self.buffers.names:
            content["buffers"] = dataclasses.asdict(self.buffers)
        pointers = {"sketch": self.sketch, "shards": self.shards, "checkpoints": self.checkpoints}
        content |= {key: value for key, value in pointers.items() if value}
        if self.thinning is not None:
            content["thinning"] = dataclasses.asdict(self.thinning)
        content["crc32"] = _checksum(content)
        write_parts(folder / "run.json", [json.dumps(content, indent=1).encode()])
        sync_folder(folder.parent)

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
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RunFormatError(f"{path}: expected the header of a run, got a damaged file ({error})") from error
        if name != FORMAT or version != VERSION:
            raise RunFormatError(
                f"{path}: expected {FORMAT} version {VERSION}, got {name} version {version}; "
                "repair: read it with the release of trajmap that wrote it"
            )
        try:
            if not intact:
                raise ValueError("content that differs from its checksum")
            return cls(
                Layout(tuple(content["names"]), tuple(tuple(shape) for shape in content["shapes"])),
                {name: name for name in FLOATS}[content["dtype"]],
                dict(content["settings"]),
                BufferLayout(**content.get("buffers", {})),
                content.get("sketch"),
                content.get("shards"),
                content.get("checkpoints"),
                Thinning.parse(content["thinning"]) if "thinning" in content else None,
                str(content.get("id", "")),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RunFormatError(f"{path}: expected names, shapes, dtype and settings, got {error!r}") from error

    def tensors(self, kind: str) -> Tensors:
        """List the tensors of an iterate of a kind, in the order of their bytes."""
        if kind == "delta16":
            blocks = -(-self.layout.size // BLOCK)
            listed: Tensors = [("delta", "int16", (self.layout.size,)), ("scales", "float32", (blocks,))]
        else:
            listed = [(n, self.dtype, s) for n, s in zip(self.layout.names, self.layout.shapes, strict=True)]
        return listed + list(zip(self.buffers.names, self.buffers.dtypes, self.buffers.shapes, strict=True))

    @functools.cached_property
    def listings(self) -> dict[str, str]:
        """The tensors of each kind as JSON, made once per run: the writer blocks the loop while it runs Python."""
        return {kind: json.dumps(_listed(self.tensors(kind)))[1:-1] for kind in ("full", "delta16")}

    @functools.cached_property
    def expected(self) -> dict[str, "tuple[bytes, int]"]:
        """The end of the header of an iterate of each kind, and the bytes of its numbers, made once per run."""
        found = {}
        for kind, listing in self.listings.items():
            found[kind] = (f", {listing}}}".encode(), _nbytes(self.tensors(kind)))
        return found


@dataclasses.dataclass(frozen=True)
class Notes:
    """The notes written with the numbers of an iterate.

    Every iterate of a resumed session contains the resumption, so that losing one iterate does not hide it.
    """

    step: int
    scalars: Mapping[str, float]
    kind: str = "full"
    seam: tuple[int, int] | None = None  # the step at which the session was resumed, the place of its first iterate
    broken: int = 0  # number of NaN or inf entries; −1 if not counted

    def metadata(self, crc32: int, written_as: Mapping[str, str]) -> dict[str, str]:
        """Convert to strings for safetensors, with the checksums and the kind."""
        words = {"step": str(self.step), "scalars": json.dumps(dict(self.scalars)), "crc32": str(crc32), **written_as}
        if self.kind != "full":
            words["kind"] = self.kind
        if self.seam is not None:
            words["seam"] = json.dumps(self.seam)
        if self.broken:
            words["broken"] = str(self.broken)
        return {**words, "notes_crc32": _checksum(words)}

    @classmethod
    def parse(cls, words: dict[str, str]) -> "Notes":
        """Read the notes; unreadable ones raise ValueError, KeyError or TypeError."""
        scalars = {str(name): float(value) for name, value in _decode(words["scalars"]).items()}
        seam, kind = None, words.get("kind", "full")
        if "seam" in words:
            went_on_from, first = json.loads(words["seam"])
            seam = (int(went_on_from), int(first))
        if kind not in {"full", "delta16"}:
            raise ValueError("an unknown kind of iterate")
        return cls(int(words["step"]), scalars, kind, seam, int(words.get("broken", 0)))


@dataclasses.dataclass(frozen=True)
class IterateFile:
    """One iterate on disk: its notes, and the start of its numbers.

    The path is kept as a string, because as many `Path` objects would be slow for a run of fifty thousand iterates.
    """

    where: str
    notes: Notes
    offset: int
    nbytes: int
    crc32: int
    place: int | None = None  # from its name
    seen: tuple[int, int, int] = (0, 0, 0)  # size and times when the header was read

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.where)

    def read(self, start: int, out: Array) -> None:
        """Fill a contiguous array with the file's bytes from a position after the header on."""
        data = out.reshape(-1).view(np.uint8).data
        try:
            with open(self.where, "rb", opener=_opened) as file:
                file.seek(self.offset + start)
                found = file.readinto(data)
        except OSError as error:
            got = "none since the run was opened" if isinstance(error, FileNotFoundError) else str(error)
            raise RunFormatError(f"{self.path}: expected an iterate, got {got}") from error
        if found != len(data):
            raise RunFormatError(f"{self.path}: expected {len(data)} bytes of numbers, got {found}")

    def verify(self) -> None:
        """Raise RunFormatError if the numbers differ from the written ones."""
        data, crc = np.empty(min(self.nbytes, _PIECE), np.uint8), 0
        for start in range(0, self.nbytes, _PIECE):
            piece = data[: min(_PIECE, self.nbytes - start)]
            self.read(start, piece)
            crc = zlib.crc32(piece.data, crc)
        if crc != self.crc32:
            raise RunFormatError(f"{self.path}: expected checksum {self.crc32}, got another")


def iterate_path(folder: Path, index: int) -> Path:
    """Path of the iterate at a place in the run."""
    return folder / "iterates" / f"{index:012d}.safetensors"


def iterate_place(path: str | os.PathLike[str]) -> int | None:
    """Place in the run from the name of an iterate's file; None for other names."""
    where = os.fspath(path)
    name = where[max(where.rfind(os.sep), where.rfind("/")) + 1 :]
    return int(name[:12]) if name[12:] == ".safetensors" and _NUMBERED.fullmatch(name, 0, 12) else None


def new_identity() -> str:
    """Make a random identity for a run."""
    return secrets.token_hex(16)


def write_iterate(path: Path, header: RunHeader, theta: Array, notes: Notes, *, buffers: Sequence[Array] = ()) -> None:
    """Write one iterate atomically and durably, with flushes of the file and its folder."""
    _write_tensors(path, header, [theta, *buffers], notes)


def write_delta(
    path: Path, header: RunHeader, delta: tuple[Array, Array], notes: Notes, *, buffers: Sequence[Array] = ()
) -> None:
    """Write one iterate as its difference from the previous one, also atomically and durably."""
    _write_tensors(path, header, [*delta, *buffers], dataclasses.replace(notes, kind="delta16"))


def read_iterate_file(path: str | os.PathLike[str], header: RunHeader) -> IterateFile:
    """Read an iterate's header and check that the file is complete, and of this run and place."""
    try:
        text, found = _header_of(path, header)
        words, kind = _words_of(text, header)
        notes = Notes.parse(words)
        crc32, run, told = int(words["crc32"]), words.get("run", ""), words.get("place")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise RunFormatError(f"{path}: expected an iterate, got a damaged header") from error
    if kind != notes.kind:
        raise RunFormatError(f"{path}: expected the tensors that run.json lists, got others")
    nbytes = header.expected[kind][1]
    offset = 8 + len(text)
    if found.st_size != offset + nbytes:
        raise RunFormatError(f"{path}: expected {offset + nbytes} bytes, got {found.st_size}")
    if run != header.identity:
        raise RunFormatError(f"{path}: expected an iterate of this run, got one of another")
    place = iterate_place(path)
    if told is not None and told != str(place):
        raise RunFormatError(f"{path}: expected the iterate of this place, got that of place {told}")
    seen = (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return IterateFile(os.fspath(path), notes, offset, nbytes, crc32, place, seen)


def _opened(path: str, flags: int) -> int:
    """Open a regular file; a pipe would wait forever."""
    handle = os.open(path, flags | _NOT_WAITING)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("not a regular file")
    return handle


def _header_of(path: str | os.PathLike[str], header: RunHeader) -> tuple[bytes, os.stat_result]:
    """Read a file's header, if its length is plausible, and the file's status."""
    likely = len(header.expected["full"][0]) + 1024
    handle = os.open(path, os.O_RDONLY | _NOT_WAITING)
    try:
        text = os.fstat(handle)
        if not stat.S_ISREG(text.st_mode):
            raise ValueError("not a regular file")
        found = os.read(handle, likely)
        length = int.from_bytes(found[:8], "little")
        longest = likely + _LARGEST_NOTES
        if len(found) < 8 or not 0 < length <= min(longest, text.st_size - 8):
            raise ValueError("a header of implausible length")
        while len(found) < 8 + length:
            more = os.read(handle, 8 + length - len(found))
            if not more:
                raise ValueError("a truncated file")
            found += more
    finally:
        os.close(handle)
    return found[8 : 8 + length], text


def _words_of(text: bytes, header: RunHeader) -> tuple[dict[str, str], str]:
    """Read the notes of a header, and determine the kind of its iterate; "" for none."""
    body = text.rstrip(b" ")
    for kind, (end, _) in header.expected.items():
        if body.endswith(end) and body.startswith(_METADATA):  # written by this package: no tensor needs parsing
            try:
                words = _decode(str(body[len(_METADATA) : -len(end)], "utf-8"))
            except ValueError:  # another listing with the same end
                continue
            _require_signed(words)
            return words, kind
    found = json.loads(text)
    words = found.pop("__metadata__")
    _require_signed(words)
    kinds = [kind for kind in header.expected if found == _listed(header.tensors(kind))]
    return words, next(iter(kinds), "")


def _require_signed(words: dict[str, str]) -> None:
    if words.pop("notes_crc32") != _checksum(words):
        raise ValueError("the notes differ from their checksum")


def _write_tensors(path: Path, header: RunHeader, arrays: Sequence[Array], notes: Notes) -> None:
    parts = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays]
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    place = iterate_place(path)
    written_as = {"run": header.identity, "place": str(place)} if header.identity and place is not None else {}
    text = f'{{"__metadata__": {json.dumps(notes.metadata(crc, written_as))}, {header.listings[notes.kind]}}}'.encode()
    text += b" " * (-(len(text) + 8) % _ALIGN)
    write_parts(path, [len(text).to_bytes(8, "little"), text, *parts])


def _checksum(words: Any) -> str:
    """CRC-32 of plain JSON values, independent of their order."""
    try:  # strings by name, formatted as by json.dumps but four times as fast
        text = "{" + ", ".join([f"{_quoted(name)}: {_quoted(words[name])}" for name in sorted(words)]) + "}"
    except TypeError:
        text = json.dumps(words, sort_keys=True)
    return str(zlib.crc32(text.encode()))


def _listed(tensors: Tensors) -> dict[str, Any]:
    """List tensors as safetensors does: in order, without gaps."""
    found, place = {}, 0
    for name, dtype, shape in tensors:
        stop = place + math.prod(shape) * stored_dtype(dtype).itemsize
        found[name] = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [place, stop]}
        place = stop
    return found


def _nbytes(tensors: Tensors) -> int:
    return max((where["data_offsets"][1] for where in _listed(tensors).values()), default=0)
