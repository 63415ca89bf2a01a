"""Number formats on disk and in NumPy, which has no bfloat16.

Formats have the names of torch and safetensors. bfloat16 is the upper half of a float32, so it is kept as uint16 here
and is widened exactly by a shift; float16 is also widened to float32 exactly.
"""

from collections.abc import Callable, Iterable

import numpy as np

from trajmap._validation import Array

__all__ = ["FLOATS", "HALVES", "narrowed", "promoted", "read_numbers", "stored_dtype", "wide_dtype", "widen"]

HALVES = ("bfloat16", "float16")
FLOATS = (*HALVES, "float32", "float64")
_PIECE = 2**20  # entries widened at once, so that the temporaries are small


def stored_dtype(name: str) -> np.dtype:
    """Return the NumPy dtype of a format's bits: its own, or uint16 for bfloat16."""
    return np.dtype("uint16" if name == "bfloat16" else name)


def wide_dtype(name: str) -> np.dtype:
    """Return the NumPy dtype for computing with a format's numbers: float32 for the two 16-bit formats."""
    return np.dtype("float32" if name in HALVES else name)


def promoted(names: Iterable[str]) -> str:
    """Return the narrowest format that holds numbers of several formats exactly.

    Parameters
    ----------
    names : iterable of str
        At least one of `FLOATS`.

    Returns
    -------
    str
        The format.

    Examples
    --------
    >>> promoted(["bfloat16", "bfloat16"]), promoted(["bfloat16", "float16"]), promoted(["float16", "float64"])
    ('bfloat16', 'float32', 'float64')
    """
    found = set(names)
    if len(found) == 1:
        return found.pop()
    return "float64" if "float64" in found else "float32"


def widen(stored: Array, name: str, out: Array) -> None:
    """Write stored numbers of a format into an array of floats.

    Parameters
    ----------
    stored : numpy.ndarray, shape (n,)
        The bits, of dtype ``stored_dtype(name)``.
    name : str
        Their format.
    out : numpy.ndarray, shape (n,)
        Output; exact if its dtype is as wide as ``wide_dtype(name)``.

    Examples
    --------
    >>> out = np.empty(3, np.float32)
    >>> widen(np.array([0x3F80, 0xC000, 0x7F80], np.uint16), "bfloat16", out)
    >>> out.tolist()
    [1.0, -2.0, inf]
    """
    if name != "bfloat16":
        out[:] = stored
    elif out.dtype == np.float32:
        np.left_shift(stored, 16, out=out.view(np.uint32), dtype=np.uint32, casting="unsafe")
    else:
        out[:] = np.left_shift(stored, 16, dtype=np.uint32).view(np.float32)


def narrowed(numbers: Array, name: str) -> Array:
    """Return the bits of numbers that were widened from a format: the exact inverse of `widen`.

    Parameters
    ----------
    numbers : numpy.ndarray
        Numbers that the format holds exactly.
    name : str
        The format.

    Returns
    -------
    numpy.ndarray
        Of dtype ``stored_dtype(name)``.
    """
    if name == "bfloat16":
        return (np.asarray(numbers, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return numbers.astype(name, copy=False)


def read_numbers(read_bytes: Callable[[int, Array], None], name: str, start: int, out: Array) -> None:
    """Fill an array with contiguous stored entries of a format.

    Parameters
    ----------
    read_bytes : callable
        ``read_bytes(place, array)`` fills a contiguous array with bytes from a position on.
    name : str
        The format.
    start : int
        The first entry.
    out : numpy.ndarray, shape (n,)
        Output: the bits if its dtype is ``stored_dtype(name)``, else the numbers.
    """
    stored = stored_dtype(name)
    if out.dtype == stored and out.flags.c_contiguous:
        read_bytes(start * stored.itemsize, out)
        return
    for low in range(0, len(out), _PIECE):
        part = out[low : low + _PIECE]
        raw = np.empty(len(part), stored)
        read_bytes((start + low) * stored.itemsize, raw)
        widen(raw, name, part)
