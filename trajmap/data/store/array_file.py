"""Named arrays in one ``.npz``: written atomically, read without pickle and without decompression."""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.atomic import write_stream
from trajmap.errors import RunFormatError

__all__ = ["digest_of", "read_array", "read_arrays", "write_arrays"]


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write named arrays, uncompressed.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    arrays : mapping of str to numpy.ndarray
        Numbers or strings; objects would be pickled, so the caller must reject them.
    """
    many: Any = dict(arrays)
    write_stream(path, lambda file: np.savez(file, **many))


def read_arrays(path: Path) -> dict[str, Array]:
    """Read named arrays; nothing is executed, and no more memory is used than the size of the file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict of str to numpy.ndarray
        The arrays.

    Raises
    ------
    RunFormatError
        If the file is missing, damaged, or describes more data than its own size.
    """
    if not path.is_file():
        raise RunFormatError(f"{path}: expected a file, got {'none' if not path.exists() else 'something else'}")
    try:
        length = path.stat().st_size
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            _require_unpacked(members, length)
            return {m.filename.removesuffix(".npy"): _array(archive.read(m)) for m in members}
    except Exception as error:  # a damaged archive can fail in any layer: zip, array header, numbers
        raise RunFormatError(f"{path}: expected an archive of arrays, got a damaged file ({error})") from error


def read_array(path: Path, name: str) -> Array | None:
    """Read one array, without the others; None where the file holds none of that name.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    name : str
        The array's name.

    Returns
    -------
    numpy.ndarray or None
        The array.

    Raises
    ------
    RunFormatError
        If the file is missing or damaged.
    """
    try:
        length = path.stat().st_size
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = [m for m in archive.infolist() if m.filename.removesuffix(".npy") == name]
            _require_unpacked(members, length)
            return _array(archive.read(members[0])) if members else None
    except Exception as error:
        raise RunFormatError(f"{path}: expected an archive of arrays, got a damaged file ({error})") from error


def digest_of(path: Path, leave_out: Collection[str] = ()) -> str:
    """Digest of a file's arrays by the checksums that the archive lists, so that no number is read.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    leave_out : collection of str
        Names of arrays that do not count.

    Returns
    -------
    str
        16 hexadecimal digits; another for other names, numbers or shapes.

    Raises
    ------
    RunFormatError
        If the file is missing or damaged.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            listed = [(m.filename.removesuffix(".npy"), m.file_size, m.CRC) for m in archive.infolist()]
    except Exception as error:
        raise RunFormatError(f"{path}: expected an archive of arrays, got a damaged file ({error})") from error
    words = json.dumps(sorted(entry for entry in listed if entry[0] not in leave_out))
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _require_unpacked(members: list[zipfile.ZipInfo], length: int) -> None:
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("compressed arrays")
    if sum(member.file_size for member in members) > length:
        raise ValueError("arrays that are larger than the file")


def _array(content: bytes) -> Array:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError("an array of another version")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("objects, which would be executed")
    start = stream.tell()
    if len(content) - start != math.prod(shape) * dtype.itemsize:
        raise ValueError("an array that is shorter or longer than its shape")
    array = np.empty(shape, dtype, order="F" if fortran else "C")
    if array.size:
        array.reshape(-1, order="A").view(np.uint8)[:] = np.frombuffer(content, np.uint8, offset=start)
    return array
