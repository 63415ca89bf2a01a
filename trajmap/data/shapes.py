"""What each field of a noun must be, declared with the field and checked once: shape, kind of number, length."""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar

import numpy as np

from trajmap._validation import Array, check_array, describe, frozen_array, worded
from trajmap.errors import InputError

__all__ = ["DeclaredField", "Shape", "Shaped", "declared_fields", "field_axes"]

Axis = int | str | None
# symbol: its size, or the result whose axes it stands for, and the field that defines it
Known = dict[str, tuple[Any, str]]


_WHOLE = {int: "integers", bool: "True or False"}


class Shape:
    """The shape of a field, as ``losses: Annotated[Array, Shape("m", "n")]``.

    A symbol stands for one length in all fields; the field with the fewest axes defines its length, names first.

    Parameters
    ----------
    *axes : str, int or None
        One an axis: a symbol such as ``"m"``, a symbol and a number such as ``"m - 1"``, a number, or None for any
        length; ``"*grid"`` stands for all axes of the field `grid`. Of a list or a tuple the first is its length and
        the others are those of each entry, of a dict all are those of each value.
    dtype : type, optional
        ``float``, ``int`` or ``bool``; None keeps a narrower floating format, for what has P entries.
    or_empty : bool
        Whether a list may be empty instead.
    spread : bool
        Whether one number stands for an array of it.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Curves(Shaped):
    ...     losses: Annotated[Array, Shape("m", "n")]
    ...     names: Annotated[list[str], Shape("m")]
    >>> Curves([[1, 2, 3]], ["a"]).losses
    array([[1., 2., 3.]])
    >>> Curves([[1, 2, 3]], ["a", "b"])
    Traceback (most recent call last):
    ...
    trajmap.errors.InputError: losses: expected shape (m, n) with m = 2 as in names, got an array of shape (1, 3) and \
dtype int64
    """

    def __init__(self, *axes: Axis, dtype: type | None = float, or_empty: bool = False, spread: bool = False) -> None:
        self.axes, self.dtype, self.or_empty, self.spread = axes, dtype, or_empty, spread


@dataclasses.dataclass(frozen=True)
class DeclaredField:
    """The declaration of a field.

    Parameters
    ----------
    name : str
        Of the field.
    kind : type
        Of its value: an array, a number, a word, a list, a dict, or a noun.
    entry : type, optional
        Of the entries of a list or tuple, or of the values of a dict.
    shape : Shape, optional
        Its shape.
    optional : bool
        Whether it may be None.
    """

    name: str
    kind: type
    entry: type | None
    shape: Shape | None
    optional: bool

    @property
    def order(self) -> int:
        """When it is checked: what is checked first defines the length of a symbol."""
        if issubclass(self.kind, Shaped):
            return 0
        if self.shape is None:
            return 99
        if self.shape.or_empty:
            return 98
        return len(self.shape.axes) + (self.kind is np.ndarray) + 9 * (self.kind is dict)


class Shaped:
    """Base of the frozen dataclasses whose fields declare their shapes.

    Arrays are converted and made read-only, numbers become Python's own; an error names the field that does not fit.
    Other checks are in a method ``_check(self)``.
    """

    _check: ClassVar[Callable[..., None] | None] = None

    def __post_init__(self) -> None:
        for name, value in _converted(self, {}).items():
            self._set(name, value)
        if self._check is not None:
            self._check()

    def _set(self, name: str, value: Any) -> None:
        """Set a field of the frozen noun while it is made."""
        object.__setattr__(self, name, frozen_array(value) if isinstance(value, np.ndarray) else value)


@functools.cache
def declared_fields(noun: type) -> tuple[DeclaredField, ...]:
    """Read what a noun's annotations declare.

    Parameters
    ----------
    noun : type
        A dataclass.

    Returns
    -------
    tuple of DeclaredField
        In the order of the fields.
    """
    hints = typing.get_type_hints(noun, include_extras=True)
    names: Any = noun
    return tuple(_declared(field.name, hints[field.name]) for field in dataclasses.fields(names))


def _declared(name: str, hint: Any) -> DeclaredField:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) or _is_union(hint) else (hint,)
    optional = type(None) in options
    options = tuple(option for option in options if option is not type(None))
    shape = None
    hint = options[0] if len(options) == 1 else object
    if typing.get_origin(hint) is Annotated:
        shape = next((extra for extra in hint.__metadata__ if isinstance(extra, Shape)), None)
        hint = typing.get_args(hint)[0]
    origin, entries = typing.get_origin(hint) or hint, typing.get_args(hint)
    entry = None
    if origin in {list, tuple, dict} and entries:
        last = entries[1] if origin is dict else entries[0]
        entry = typing.get_origin(last) or last
    kind = origin if isinstance(origin, type) else object
    return DeclaredField(name, kind, entry if isinstance(entry, type) else None, shape, optional)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Union


def _converted(noun: Shaped, known: Known) -> dict[str, Any]:
    """Fields as they must be, with the symbols' sizes in `known`."""
    found = {}
    kind: Any = type(noun)
    for field in sorted(declared_fields(kind), key=lambda field: field.order):
        value = getattr(noun, field.name)
        if value is not None or not field.optional:
            found[field.name] = _checked(field, value, known)
    return found


def _checked(field: DeclaredField, value: Any, known: Known) -> Any:
    if field.kind is np.ndarray:
        return _array(field.name, value, field.shape or Shape(), known)
    if field.kind in {list, tuple}:
        return _sequence(field, value, known)
    if field.kind is dict and field.shape is not None:
        entries = _of_kind(field.name, value, dict, "a dict of arrays").items()
        return {key: _array(f"{field.name}[{key!r}]", entry, field.shape, known) for key, entry in entries}
    if issubclass(field.kind, Shaped):
        _of_kind(field.name, value, field.kind, f"a {field.kind.__name__}")
        inner: Known = {}
        _converted(value, inner)
        for symbol, (size, _) in inner.items():
            known.setdefault(symbol, (size, field.name))
        known[f"*{field.name}"] = (value, field.name)
        return value
    return _scalar(field.name, value, field.kind)


def _of_kind(name: str, value: Any, kind: type, expected: str) -> Any:
    if not isinstance(value, kind):
        raise InputError(worded(name, expected, describe(value)))
    return value


def _scalar(name: str, value: Any, kind: type | None) -> Any:
    """Python's own number or word; what is declared otherwise is left alone."""
    if kind is float:
        expected, right = "a number", isinstance(value, (int, float, np.integer, np.floating))
    elif kind is int:
        expected, right = "an integer", isinstance(value, (int, np.integer))
    elif kind is bool:
        expected, right = "True or False", isinstance(value, (bool, np.bool_))
    elif kind is str:
        expected, right = "a word", isinstance(value, str)
    else:
        return value
    if not right or (kind is not bool and isinstance(value, bool)):
        raise InputError(worded(name, expected, describe(value)))
    return kind(value)


def _sequence(field: DeclaredField, value: Any, known: Known) -> Any:
    if isinstance(value, str) or not isinstance(value, (list, tuple, np.ndarray)):
        raise InputError(worded(field.name, f"a {field.kind.__name__}", describe(value)))
    shape = field.shape
    if shape is not None and not (shape.or_empty and not len(value)):
        symbol = shape.axes[0]
        length, where = _size(symbol, known)
        if length is not None and len(value) != length:
            expected = f"{length}" if symbol == length else f"{symbol} = {length}"
            words = f"{expected} entries{where and f' as in {where}'}{', or none' if shape.or_empty else ''}"
            raise InputError(worded(field.name, words, f"{len(value)}"))
        _bind(symbol, len(value), field.name, known)
    if field.entry is np.ndarray:
        inner = Shape(*shape.axes[1:], dtype=shape.dtype) if shape else Shape()
        return field.kind(_array(field.name, entry, inner, known) for entry in value)
    return field.kind(_scalar(field.name, entry, field.entry) for entry in value)


def _array(name: str, value: Any, shape: Shape, known: Known) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InputError(worded(name, "real numbers", f"dtype {array.dtype}"))
    axes = list(_expanded(shape.axes, known))
    if shape.spread and not array.ndim:
        array = np.full([size or 1 for _, size, _ in axes], array)
    _require_shape(name, array, axes, known)
    if shape.dtype in _WHOLE and array.dtype.kind not in ("b" if shape.dtype is bool else "ib"):
        with np.errstate(invalid="ignore"):
            exact = np.array_equal(array.astype(shape.dtype), array)
        if not exact:
            raise InputError(worded(name, _WHOLE[shape.dtype], array))
    return frozen_array(check_array(name, array, array.shape, dtype=shape.dtype))


def _expanded(axes: tuple[Axis, ...], known: Known) -> Iterator[tuple[Axis, int | None, str]]:
    """Each axis with its size, where that is known, and the field that defines it."""
    for axis in axes:
        if isinstance(axis, str) and axis.startswith("*"):
            noun, where = known[axis]
            yield from ((n, n, where) for n in noun.shape)
        else:
            yield (axis, *_size(axis, known))


def _size(axis: Axis, known: Known) -> tuple[int | None, str]:
    if not isinstance(axis, str):
        return axis, ""
    symbol, sign, number = _parsed(axis)
    if symbol not in known:
        return None, ""
    size, where = known[symbol]
    return max(0, size + sign * number), where


def _parsed(axis: str) -> tuple[str, int, int]:
    match = re.fullmatch(r"(\w+)(?: ([-+]) (\d+))?", axis)
    if match is None:
        raise ValueError(f"axis: expected a symbol, as 'm' or 'm - 1', got {axis!r}")
    return match[1], -1 if match[2] == "-" else 1, int(match[3] or 0)


def _bind(axis: Axis, size: int, name: str, known: Known) -> None:
    if isinstance(axis, str) and axis.isidentifier():
        known.setdefault(axis, (size, name))


def _require_shape(name: str, array: Array, axes: list[tuple[Axis, int | None, str]], known: Known) -> None:
    fits = array.ndim == len(axes)
    if fits:
        for (axis, _, _), length in zip(axes, array.shape, strict=True):
            _bind(axis, length, name, known)
            size, _ = _size(axis, known)
            fits &= size is None or size == length
    if not fits:
        pattern = ", ".join("any" if axis is None else str(axis) for axis, _, _ in axes) + "," * (len(axes) == 1)
        said = {axis: f"{axis} = {size} as in {where}" for axis, size, where in axes if isinstance(axis, str) and where}
        others = {where for axis, _, where in axes if not isinstance(axis, str) and where}
        text = f" with {', '.join(said.values())}" if said else f" as in {others.pop()}" if others else ""
        raise InputError(worded(name, f"shape ({pattern}){text}", array))


def field_axes(field: DeclaredField, noun: Any) -> tuple[Axis, ...]:
    """Name the axes of a field; those of another field by its name and their place, as ``"grid 0"``.

    Parameters
    ----------
    field : DeclaredField
        A field of the noun.
    noun : Shaped
        The noun.

    Returns
    -------
    tuple of str, int or None
        One an axis.
    """
    found: list[Axis] = []
    for axis in field.shape.axes if field.shape else ():
        if isinstance(axis, str) and axis.startswith("*"):
            found += [f"{axis[1:]} {i}" for i in range(len(getattr(noun, axis[1:]).shape))]
        else:
            found.append(axis)
    return tuple(found)
