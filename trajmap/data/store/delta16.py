"""Iterates as 16-bit differences: half the bytes, with an error that does not grow.

Late in training a step is 1e-5 of the parameters' norm, so an iterate rounded to 16 bits would lose its steps. Here the
difference from the previous iterate *as stored* is rounded: the rounding error of one iterate is part of the next
difference (error feedback). Errors therefore do not add up, and each is at most half a unit of the largest difference
in its block.
"""

import numpy as np

from trajmap._validation import Array

__all__ = ["BLOCK", "decode", "encode"]

BLOCK = 4096
_LARGEST = 32767


def encode(theta: Array, base: Array) -> tuple[Array, Array]:
    """Round θ − base to 16 bits, with one scale per block of 4096 entries.

    Parameters
    ----------
    theta : numpy.ndarray, shape (P,), float32
        The iterate, finite.
    base : numpy.ndarray, shape (P,), float32
        The previous iterate as returned by `decode`.

    Returns
    -------
    delta : numpy.ndarray, shape (P,), int16
        The differences, in units of their block's scale.
    scales : numpy.ndarray, shape (⌈P/4096⌉,), float32
        One unit per block.

    Examples
    --------
    >>> base = np.ones(3, np.float32)
    >>> delta, scales = encode(np.array([1.0, 1.5, 0.0], np.float32), base)
    >>> delta.tolist()
    [0, 16384, -32767]
    """
    difference = theta - base
    starts = np.arange(0, len(theta), BLOCK)
    largest = np.maximum(np.maximum.reduceat(difference, starts), -np.minimum.reduceat(difference, starts))
    scales = (largest / np.float32(_LARGEST)).astype(np.float32)
    # a block without changes has no unit; nor has one whose unit is below the smallest number
    units = np.repeat(np.where(scales > 0, scales, np.float32(1)), BLOCK)[: len(theta)]
    delta = np.clip(np.rint(difference / units), -_LARGEST, _LARGEST).astype(np.int16)
    return delta, scales


def decode(out: Array, delta: Array, scales: Array, start: int = 0) -> None:
    """Add the differences of a range of entries to the stored previous iterate, in place.

    Parameters
    ----------
    out : numpy.ndarray, shape (n,), float32
        The range of the previous iterate; it becomes that of the iterate.
    delta : numpy.ndarray, shape (n,), int16
        Its differences.
    scales : numpy.ndarray, shape (⌈P/4096⌉,), float32
        All units of the iterate.
    start : int
        Start of the range in θ.
    """
    first, last = start // BLOCK, (start + len(delta) + BLOCK - 1) // BLOCK
    units = np.repeat(scales[first:last], BLOCK)[start - first * BLOCK :][: len(delta)]
    out += delta.astype(np.float32) * units
