"""Arrays by name in one ``.npz``: written whole or not at all, read without pickle and without unpacking."""

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
    """Write arrays by name, uncompressed.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    arrays : mapping of str to numpy.ndarray
        Numbers or words; objects would be pickled, so the caller refuses them.
    """
    many: Any = dict(arrays)
    write_stream(path, lambda file: np.savez(file, **many))


def read_arrays(path: Path) -> dict[str, Array]:
    """Read them back; nothing is executed, and nothing takes more memory than the file is long.

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
        If the file is missing, damaged, or holds more than its own length.
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
        raise ValueError("arrays that are packed")
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
