"""A noun in one line: shapes, ranges and counts for arrays, never the arrays."""

import dataclasses
from typing import Any

import numpy as np

from trajmap._validation import Array

__all__ = ["short_repr", "short_value"]

_LONG = 160  # letters between the brackets; the fields at the end give way
_FEW = 4  # numbers that are shown as they are
_MANY = 1 << 20  # numbers above which an array is not read for its range


def short_repr(noun: Any) -> str:
    """Write a dataclass in one line; what has its default value is left out.

    Parameters
    ----------
    noun : dataclass
        Of arrays, numbers, words, and other nouns.

    Returns
    -------
    str
        For example ``Grid(axes=(<3: 0 to 1>, <2: 5 to 6>))``.

    Examples
    --------
    >>> from trajmap.data.results.landscape import Grid
    >>> Grid((np.linspace(0, 1, 51), np.array([5.0, 6.0])))
    Grid(axes=(<51: 0 to 1>, [5 6]))
    """
    parts = []
    for field in dataclasses.fields(noun):
        value = getattr(noun, field.name)
        if not _is_default(field, value):
            parts.append(f"{field.name}={short_value(value)}")
    while len(", ".join(parts)) > _LONG:
        parts = [*parts[: -1 - (parts[-1] == "…")], "…"]
    return f"{type(noun).__name__}({', '.join(parts)})"


def _is_default(field: Any, value: Any) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return isinstance(value, (list, dict, tuple)) and not value
    default = field.default
    if default is dataclasses.MISSING or isinstance(value, np.ndarray):
        return False
    if isinstance(default, float) and np.isnan(default):
        return bool(np.isnan(value))
    return bool(value is default or value == default)


def short_value(value: Any) -> str:
    """Write one value of a noun in few words."""
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:39] + "…")
    if isinstance(value, dict):
        return _several([f"{key!r}: {short_value(part)}" for key, part in list(value.items())[:3]], len(value), "{}")
    if isinstance(value, (list, tuple)):
        return _several(
            [short_value(part) for part in value[:3]], len(value), "[]" if isinstance(value, list) else "()"
        )
    return repr(value)


def _several(shown: list[str], count: int, brackets: str) -> str:
    more = [f"… {count - len(shown)} more"] if count > len(shown) else []
    comma = "," if brackets == "()" and count == 1 else ""
    return brackets[0] + ", ".join([*shown, *more]) + comma + brackets[1]


def _array(array: Array) -> str:
    shape = "×".join(map(str, array.shape))
    if array.ndim == 1 and array.size <= _FEW and array.dtype.kind in "fiub":
        return "[" + " ".join(f"{number:.4g}" if array.dtype.kind == "f" else str(number) for number in array) + "]"
    if not 0 < array.size <= _MANY or array.dtype.kind not in "fiub":
        return f"<{shape} {array.dtype}>"
    if array.dtype.kind == "b":
        return f"<{shape}: {int(array.sum())} true>"
    known = array[np.isfinite(array)]
    broken = array.size - known.size
    span = f"{known.min():.4g} to {known.max():.4g}" if known.size else ""
    lost = f"{broken} NaN or inf" if broken else ""
    return f"<{shape}: {', '.join(part for part in (span, lost) if part)}>"
