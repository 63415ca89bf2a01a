"""The tensors of a safetensors file, in place: only the header is read, and nothing is executed."""

import json
import math
from pathlib import Path

from trajmap.data.number_format import stored_dtype
from trajmap.data.store.stored_tensor import SourceFile, StoredTensor, TensorInFile, is_readable
from trajmap.errors import RunFormatError

__all__ = ["read_safetensors"]

_NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_LARGEST_HEADER = 100_000_000  # bytes, as in the safetensors library


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """List the tensors of a file by name.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict of str to StoredTensor
        The tensors, in the order of the header.

    Raises
    ------
    RunFormatError
        If the header is damaged or the file too short for its tensors.
    """
    file = SourceFile.of(path)
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 0 < length <= min(_LARGEST_HEADER, file.size - 8):
                raise RunFormatError(f"{path}: expected a safetensors file, got none")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        return {str(name): _tensor(file, 8 + length, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunFormatError(f"{path}: expected a safetensors file, got a damaged header ({error})") from error


def _tensor(file: SourceFile, begin: int, entry: dict[str, object]) -> StoredTensor:
    code, shape, (start, stop) = str(entry["dtype"]), entry["shape"], entry["data_offsets"]  # type: ignore[misc]
    dtype, shape = _NAMES.get(code, code), tuple(int(n) for n in shape)  # type: ignore[attr-defined]
    if is_readable(dtype) and stop - start != math.prod(shape) * stored_dtype(dtype).itemsize:  # type: ignore[has-type]
        raise ValueError("bytes of a tensor that are not those of its shape")
    return TensorInFile(file, begin + int(start), dtype, shape)  # type: ignore[has-type]
