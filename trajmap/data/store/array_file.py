"""Named arrays in one ``.npz``: written atomically, read without pickle and without decompression."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.atomic import write_stream
from trajmap.errors import RunFormatError

__all__ = ["read_arrays", "write_arrays"]


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
