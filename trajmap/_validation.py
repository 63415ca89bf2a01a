"""Checks of arguments. Every message reads ``name: expected …, got …``, then the repair if one is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trajmap.errors import InputError

__all__ = [
    "Array",
    "check_array",
    "check_choice",
    "check_count",
    "check_fraction",
    "check_positive",
    "describe",
    "frozen_array",
    "worded",
]

Array = npt.NDArray[Any]


def describe(value: object) -> str:
    """Name a value in an error message: shape and dtype of an array, repr of a scalar, else the type."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    return f"{type(value).__name__}"


def worded(name: str, expected: str, got: object, repair: str = "") -> str:
    """Format an error message as ``name: expected …, got …; repair: …``."""
    text = got if isinstance(got, str) else describe(got)
    return f"{name}: expected {expected}, got {text}" + (f"; repair: {repair}" if repair else "")


def check_array(name: str, value: object, shape: Sequence[int | None], *, dtype: Any = None) -> Array:
    """Convert to an array of the given or a floating dtype and check its shape; None matches any length.

    Parameters
    ----------
    name : str
        The user's name of the argument.
    value : array-like
        The argument.
    shape : sequence of int or None
        Expected shape; None accepts any length.
    dtype : dtype, optional
        Target dtype; by default floating dtypes are kept and others become float64.

    Returns
    -------
    numpy.ndarray
        The array; the user's own if no conversion was needed.

    Raises
    ------
    InputError
        If the value is not numeric or its shape does not match.

    Examples
    --------
    >>> check_array("theta", [1, 2], (2,))
    array([1., 2.])
    >>> check_array("theta", [1, 2], (3,))
    Traceback (most recent call last):
    ...
    trajmap.errors.InputError: theta: expected shape (3,), got an array of shape (2,) and dtype int64
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InputError(worded(name, "real numbers", f"dtype {array.dtype}"))
    pattern = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
    matches = array.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    if not matches:
        raise InputError(worded(name, f"shape {pattern}", array))
    if dtype is None:
        dtype = array.dtype if array.dtype.kind == "f" else np.float64
    return array.astype(dtype, copy=False)


def check_count(name: str, value: object, *, low: int = 1, high: int | None = None) -> int:
    """Check an integer in [low, high] and return it as int."""
    bounds = f"an integer ≥ {low}" if high is None else f"an integer in [{low}, {high}]"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise InputError(worded(name, bounds, value))
    if value < low or (high is not None and value > high):
        raise InputError(worded(name, bounds, value))
    return int(value)


def check_positive(name: str, value: object, *, zero: bool = False) -> float:
    """Check a finite number > 0 (or ≥ 0 if `zero`) and return it as float."""
    expected = "a finite number ≥ 0" if zero else "a finite number > 0"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(worded(name, expected, value))
    number = float(value)
    if not np.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise InputError(worded(name, expected, value))
    return number


def check_fraction(name: str, value: object) -> float:
    """Check a number in [0, 1] and return it as float."""
    number = check_positive(name, value, zero=True)
    if number > 1:
        raise InputError(worded(name, "a number in [0, 1]", value))
    return number


def check_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Check that a string is one of the choices; the error lists them."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(worded(name, "one of " + ", ".join(map(repr, choices)), value))
    return value


def frozen_array(value: Array) -> Array:
    """Return a read-only view, so that a noun's arrays cannot be changed through it."""
    view = value.view()
    view.flags.writeable = False
    return view
