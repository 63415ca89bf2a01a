"""The tensors of a file of ``torch.save``, read in place without torch and without running code from it.

Such a file is a zip archive: a pickle that describes the object, and each storage's bytes, uncompressed. A pickle may
request any function of any module. Here the few tensor functions of torch give tensors, and everything else becomes an
inert placeholder that only stores its arguments.
"""

import collections
import dataclasses
import io
import pickle
import re
import types
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.store.stored_tensor import SourceFile, TensorInFile
from trajmap.errors import RunFormatError

__all__ = ["Inert", "InertUnpickler", "read_torch_file"]

_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "bytes",
}  # fmt: skip
_ITEMSIZES = {"complex64": 8, "complex128": 16, "bytes": 1}
_LOCAL_HEADER = 30  # bytes of a zip entry before its name
_LARGEST_PICKLE = 2**30
_FORMAT = re.compile(r"b?float\d|u?int\d|complex\d|bool$")


class Inert(dict[Any, Any]):
    """Placeholder for an object that is not a tensor: it keeps entries and state, and runs nothing."""

    state: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        """Take any arguments; a pickle may skip ``__init__``."""
        inert = super().__new__(cls)
        inert.state = {}
        return inert

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        """Do nothing."""
        return Inert()

    def append(self, item: Any) -> None:
        """Do nothing, for a list that is not Python's."""

    def extend(self, items: Any) -> None:
        """Do nothing."""

    def add(self, item: Any) -> None:
        """Do nothing."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__


class InertUnpickler(pickle.Unpickler):  # ruff: ignore[suspicious-pickle-usage] - see the head of this file
    """An unpickler that supports plain containers and the given names, and imports nothing.

    Parameters
    ----------
    stream : io.BytesIO
        The pickle.
    known : mapping of (module, name) to object, optional
        Replacements of names that the pickle may use in addition to the containers.
    stored : callable, optional
        Gives what stands for something outside the pickle, from its description; a stand-in by default.
    """

    def __init__(
        self,
        stream: io.BytesIO,
        *,
        known: Mapping[tuple[str, str], Any] = types.MappingProxyType({}),
        stored: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(stream)
        self._known, self._stored = {**_containers(), **known}, stored or Inert

    def find_class(self, module: str, name: str) -> Any:
        """Give what is known by a name, or a stand-in."""
        if (module, name) in self._known:
            return self._known[module, name]
        if module == "torch" and _FORMAT.match(name):
            return name
        return type(name, (Inert,), {})

    def persistent_load(self, pid: Any) -> Any:
        """Return a replacement for an object outside the pickle."""
        return self._stored(pid)


def _containers() -> dict[tuple[str, str], Any]:
    return {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("collections", "defaultdict"): _plain_dict,
        ("torch", "Size"): tuple,
    }


@dataclasses.dataclass(frozen=True)
class _Storage:
    dtype: str
    key: str

    @classmethod
    def described(cls, pid: Any) -> "_Storage | Inert":
        kind, dtype, key, *_ = pid
        return cls(dtype, str(key)) if kind == "storage" and isinstance(dtype, str) else Inert()


class _Archive:
    """Places of the storages in a file, or in a part of a file."""

    def __init__(self, file: SourceFile, begin: int, size: int) -> None:
        self._file, self._begin = file, begin
        self._zip = zipfile.ZipFile(io.BufferedReader(_Stretch(file, begin, size)))
        names = self._zip.namelist()
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if not pickles:
            raise ValueError("an archive that torch.save did not write")
        self._root = pickles[0].removesuffix("data.pkl")
        if f"{self._root}constants.pkl" in names:
            raise ValueError("a TorchScript program")
        order = f"{self._root}byteorder"
        if order in names and self._zip.read(order) != b"little":
            raise ValueError("numbers with the highest byte first")
        self._places: dict[str, int] = {}

    def content(self) -> Any:
        entry = self._zip.getinfo(f"{self._root}data.pkl")
        if entry.file_size > _LARGEST_PICKLE:
            raise ValueError("a description of its object that is larger than 1 GiB")
        pickled = io.BytesIO(self._zip.read(entry))
        return InertUnpickler(pickled, known=self._functions(), stored=_Storage.described).load()

    def _functions(self) -> dict[tuple[str, str], Any]:
        """Torch's own functions that make a tensor of a storage, and its names of storages."""
        return {(module, name): kind for module in ("torch", "torch.storage") for name, kind in _STORAGES.items()} | {
            ("torch._utils", "_rebuild_tensor"): self._plain,
            ("torch._utils", "_rebuild_tensor_v2"): self._plain,
            ("torch._utils", "_rebuild_tensor_v3"): self._typed,
            ("torch._utils", "_rebuild_parameter"): _first,
            ("torch._utils", "_rebuild_parameter_with_state"): _first,
            ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
        }

    def _plain(self, storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> Any:
        if not isinstance(storage, _Storage):
            return Inert()
        return self._tensor(storage.key, storage.dtype, int(offset), tuple(shape), tuple(strides))

    def _typed(self, storage: Any, offset: int, shape: Any, strides: Any, *rest: Any) -> Any:
        """Make a tensor whose storage has no dtype: the last but one argument gives it."""
        dtype = next((str(word) for word in rest if isinstance(word, str)), "bytes")
        if not isinstance(storage, _Storage):
            return Inert()
        return self._tensor(storage.key, dtype, int(offset), tuple(shape), tuple(strides))

    def _tensor(
        self, key: str, dtype: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> TensorInFile:
        if key not in self._places:
            self._places[key] = self._locate(f"{self._root}data/{key}")
        itemsize = _ITEMSIZES.get(dtype) or (2 if dtype == "bfloat16" else _itemsize(dtype))
        return TensorInFile(self._file, self._places[key] + offset * itemsize, dtype, shape, strides)

    def _locate(self, name: str) -> int:
        entry = self._zip.getinfo(name)
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError("compressed numbers")
        local = np.empty(_LOCAL_HEADER, np.uint8)
        self._file.read(self._begin + entry.header_offset, local)
        if local[:4].tobytes() != b"PK\x03\x04":
            raise ValueError("a damaged archive")
        lengths = local[26:30].view("<u2")
        return self._begin + entry.header_offset + _LOCAL_HEADER + int(lengths[0]) + int(lengths[1])


class _Stretch(io.RawIOBase):
    """A part of a file as a file object."""

    def __init__(self, file: SourceFile, begin: int, size: int) -> None:
        super().__init__()
        self._file, self._begin, self._size, self._place = file, begin, size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError("a place before the beginning")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read on."""
        view: Array = np.frombuffer(buffer, np.uint8)
        count = max(0, min(len(view), self._size - self._place))
        if count:
            self._file.read(self._begin + self._place, view[:count])
        self._place += count
        return count


def read_torch_file(path: Path, begin: int = 0, size: int | None = None) -> Any:
    """Read the object saved by ``torch.save``: containers and plain values, and tensors that stay in the file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    begin, size : int
        The part to read; by default the whole file.

    Returns
    -------
    object
        The object. Parts other than plain containers, values and tensors are inert placeholders.

    Raises
    ------
    RunFormatError
        If the file cannot be read.
    """
    try:
        file = SourceFile.of(path)
        return _Archive(file, begin, file.size - begin if size is None else size).content()
    except zipfile.BadZipFile as error:
        repair = "load it and save it again with torch 1.6 or newer" if _is_legacy(path) else "copy it again"
        message = f"{path}: expected a file of torch.save, got an incomplete archive ({error}); repair: {repair}"
        raise RunFormatError(message) from error
    except RunFormatError:
        raise
    except Exception as error:  # a damaged or foreign pickle can fail in any way
        raise RunFormatError(f"{path}: expected a file of torch.save, got {error or type(error).__name__}") from error


def _is_legacy(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(1) == b"\x80"


def _itemsize(dtype: str) -> int:
    return 1 if dtype.startswith(("float8", "float4")) else np.dtype(dtype).itemsize


def _plain_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _first(value: Any, *_: Any) -> Any:
    return value


def _of_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """Return the tensor of a subclass that torch makes like any other tensor."""
    return function(*arguments) if callable(function) else Inert()
