"""A noun as a table of pandas, by the axes that its fields declare."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap._optional import optional_import
from trajmap._validation import Array
from trajmap.data.shapes import DeclaredField, Shaped, declared_fields, field_axes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame_of"]


def frame_of(noun: Shaped, rows: tuple[str, ...]) -> "pd.DataFrame":
    """Lay a noun out with a row for each place along some of its axes.

    Parameters
    ----------
    noun : Shaped
        The noun.
    rows : tuple of str
        Symbols of the axes; ``"*grid"`` for those of the field `grid`. One row without any.

    Returns
    -------
    pandas.DataFrame
        A column a field; a field with further axes has one a place along them, as ``curvatures_0``. What shares no axis
        with the rows, or has P entries, is omitted.

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    pandas = optional_import("pandas", "pandas")
    kind: Any = type(noun)
    fields = declared_fields(kind)
    lengths = _lengths(noun, fields, rows)
    columns: dict[str, Array] = {}
    for field in fields:
        if f"*{field.name}" in rows:
            points = _lattice(noun, field.name).points
            columns |= {
                f"{field.name}_{i}": column.reshape(tuple(lengths.values())) for i, column in enumerate(points.T)
            }
        else:
            columns |= _columns(noun, field, list(lengths))
    shape = tuple(lengths.values())
    flat = {name: np.broadcast_to(column, shape).ravel() for name, column in columns.items()}
    if len(shape) > 1:
        index = pandas.MultiIndex.from_product([range(n) for n in shape], names=list(lengths))
    else:
        index = pandas.RangeIndex(math.prod(shape), name=next(iter(lengths), None))
    return pandas.DataFrame(flat, index=index)


def _lattice(noun: Any, name: str) -> Any:
    """Take what has `shape` and `points`: the field, or the noun itself where the field holds its axes."""
    value = getattr(noun, name)
    return noun if isinstance(value, tuple) else value


def _lengths(noun: Any, fields: tuple[DeclaredField, ...], rows: tuple[str, ...]) -> dict[str, int]:
    """Size of each axis that the rows run over, by its name."""
    found: dict[str, int] = {}
    for row in rows:
        if row.startswith("*"):
            found |= {f"{row[1:]} {i}": n for i, n in enumerate(_lattice(noun, row[1:]).shape)}
            continue
        for field in fields:
            value = getattr(noun, field.name)
            axes = field_axes(field, noun)
            if row in axes and value is not None:
                found[row] = np.shape(value)[axes.index(row)]
    return found


def _columns(noun: Any, field: DeclaredField, rows: list[str]) -> dict[str, Array]:
    """Columns of one field, each with one axis a row axis, of length 1 where it does not depend on it."""
    value, axes = getattr(noun, field.name), field_axes(field, noun)
    if field.kind in {float, int, bool, str} and value is not None:
        return {field.name: np.array(value, dtype=object if field.kind is str else None)}
    if field.kind is np.ndarray and value is not None:
        return _placed(field.name, value, axes, rows)
    if field.kind is dict and field.shape is not None:
        parts = [_placed(f"{field.name}_{key}", part, axes, rows) for key, part in value.items()]
        return {name: column for part in parts for name, column in part.items()}
    if field.kind in {list, tuple} and len(axes) == 1 and len(value):
        return _placed(field.name, np.array(value, dtype=object if field.entry is str else None), axes, rows)
    return {}


def _placed(name: str, array: Array, axes: tuple[Any, ...], rows: list[str]) -> dict[str, Array]:
    places = [axes.index(row) for row in rows if row in axes]
    others = [i for i in range(len(axes)) if i not in places]
    if not places or any(axes[i] == "P" for i in others):
        return {}
    turned = array.transpose(places + others)
    along = [array.shape[axes.index(row)] if row in axes else 1 for row in rows]
    turned = turned.reshape(*along, *turned.shape[len(places) :])
    return {
        "_".join([name, *map(str, place)]): turned[..., *place]
        for place in np.ndindex(*(array.shape[i] for i in others))
    }
