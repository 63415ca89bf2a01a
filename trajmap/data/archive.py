"""Storage of the result classes: one ``.npz`` of plain arrays with a JSON manifest; opening it runs no code."""

import dataclasses
import importlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.reprs import short_repr
from trajmap.data.shapes import Shaped
from trajmap.data.stamp import Stamp
from trajmap.data.store import array_file
from trajmap.data.store.array_file import read_array, read_arrays, write_arrays
from trajmap.data.tables import frame_of
from trajmap.errors import InputError, RunFormatError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Saved", "digest_of", "noun_name", "read_stamp"]

_FORMAT = "trajmap-noun"
_VERSION = 1
_MANIFEST = "manifest.json"
_STAMP = "stamp.json"


class Saved(Shaped):
    """Base of the frozen dataclasses: fields with declared shapes, ``save(path)`` and ``open(path)``.

    A field may hold an array, None, a number, a string, a list of strings, a dict of arrays or of plain values, a tuple
    of arrays, or another such object. Files are written under a temporary name and renamed, so a reader never sees an
    incomplete one.

    Parameters
    ----------
    rows : tuple of str
        Keyword of the class statement: the symbols of the axes that the rows of `to_frame` run over.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from trajmap.data.results.landscape import Grid
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Grid((np.array([0.0, 1.0]),)).save(folder + "/grid.npz")
    ...     Grid.open(path).shape
    (2,)
    """

    _rows: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, *, rows: tuple[str, ...] = ()) -> None:
        super().__init_subclass__()
        cls._rows = rows
        if "__repr__" not in vars(cls):
            cls.__repr__ = short_repr  # type: ignore[method-assign]  # else the dataclass prints every number

    def save(self, path: str | os.PathLike[str], *, stamp: Stamp | None = None) -> Path:
        """Write the object to a file.

        Parameters
        ----------
        path : path-like
            File to write; a missing folder is created.
        stamp : Stamp, optional
            What made it, kept with it.

        Returns
        -------
        pathlib.Path
            The file.
        """
        arrays: dict[str, Any] = {}
        fields = {name: _pack(name, value, arrays) for name, value in _values(self).items()}
        manifest = {"format": _FORMAT, "version": _VERSION, "kind": type(self).__name__, "fields": fields}
        arrays[_MANIFEST] = _as_bytes(json.dumps(manifest))
        if stamp is not None:
            arrays[_STAMP] = _as_bytes(stamp.text)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(target, arrays)  # objects were rejected above, so nothing is pickled
        return target

    def to_frame(self) -> "pd.DataFrame":
        """Lay the noun out as a table of pandas.

        Returns
        -------
        pandas.DataFrame
            One row for each place along the noun's main axes, which the index names and counts; a column a field, or
            one for each place along its other axes, as ``curvatures_0``. Numbers and words are repeated on every row;
            what shares no axis with the rows is left out.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.

        Examples
        --------
        >>> from trajmap.data.results.training_curves import TrainingCurves
        >>> TrainingCurves([0, 10], [[3, 1], [3, 2]], ["SGD", "Adam"]).to_frame().reset_index(drop=True)
           steps  losses names
        0    0.0     3.0   SGD
        1   10.0     1.0   SGD
        2    0.0     3.0  Adam
        3   10.0     2.0  Adam
        """
        return frame_of(self, type(self)._rows)

    def _repr_html_(self) -> str:
        # pictures know the nouns; that a notebook finds the way back is the one import that runs upward, when asked
        return str(importlib.import_module("trajmap.plots.inline").html_of(self))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read an object from a file.

        Parameters
        ----------
        path : path-like
            A file written by `save`.

        Returns
        -------
        Self
            The object.

        Raises
        ------
        RunFormatError
            If the file is missing, damaged, of another version, or holds another kind of object.
        """
        arrays = read_arrays(Path(path))
        manifest = _manifest(Path(path), arrays.pop(_MANIFEST, None))
        if manifest.get("format") != _FORMAT or manifest.get("version") != _VERSION:
            raise RunFormatError(
                f"{path}: expected {_FORMAT} version {_VERSION}, got {manifest.get('format')} version "
                f"{manifest.get('version')}; repair: create it again with this release of trajmap"
            )
        if manifest.get("kind") != cls.__name__:
            raise RunFormatError(f"{path}: expected a {cls.__name__}, got a {manifest.get('kind')}")
        try:
            return cls(**{name: _unpack(name, entry, arrays) for name, entry in manifest["fields"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunFormatError(f"{path}: expected the fields of a {cls.__name__}, got {error!r}") from error


def _values(noun: Any) -> dict[str, Any]:
    return {field.name: getattr(noun, field.name) for field in dataclasses.fields(noun)}


def _pack(name: str, value: Any, arrays: dict[str, Array]) -> dict[str, Any]:
    """Put the arrays of a field into `arrays` and return the JSON entry that refers to them."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise InputError(worded(name, "an array of numbers or strings", value))
        arrays[name] = value
        return {"type": "array"}
    if isinstance(value, Saved):
        fields = {key: _pack(f"{name}/{key}", part, arrays) for key, part in _values(value).items()}
        return {"type": "noun", "kind": type(value).__name__, "fields": fields}
    if isinstance(value, tuple):
        return {
            "type": "tuple",
            "items": [_pack(f"{name}/{i}", part, arrays) for i, part in enumerate(value)],
        }
    if isinstance(value, dict):
        return {
            "type": "dict",
            "items": {key: _pack(f"{name}/{key}", part, arrays) for key, part in value.items()},
        }
    if value is None or isinstance(value, (bool, int, float, str, list)):
        return {"type": "value", "value": value}
    if isinstance(value, np.generic):
        return {"type": "value", "value": value.item()}
    raise InputError(worded(name, "arrays, numbers, strings, or result objects of them", value))


def _unpack(name: str, entry: dict[str, Any], arrays: dict[str, Array]) -> Any:
    kind = entry["type"]
    if kind == "array":
        return arrays[name]
    if kind == "noun":
        known = {cls.__name__: cls for cls in Saved.__subclasses__()}
        parts = {key: _unpack(f"{name}/{key}", part, arrays) for key, part in entry["fields"].items()}
        return known[entry["kind"]](**parts)
    if kind == "tuple":
        return tuple(_unpack(f"{name}/{i}", part, arrays) for i, part in enumerate(entry["items"]))
    if kind == "dict":
        return {key: _unpack(f"{name}/{key}", part, arrays) for key, part in entry["items"].items()}
    return entry["value"]


def _manifest(path: Path, found: Array | None) -> dict[str, Any]:
    if found is None:
        raise RunFormatError(f"{path}: expected an archive with a manifest, got none")
    try:
        return dict(json.loads(found.tobytes()))
    except (ValueError, TypeError) as error:
        raise RunFormatError(f"{path}: expected a manifest, got a damaged one ({error})") from error


def _as_bytes(text: str) -> Array:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def noun_name(path: Path) -> str:
    """Class of the noun that a file holds, by its own manifest.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        The name.

    Raises
    ------
    RunFormatError
        If the file is missing, damaged, or holds no noun.
    """
    return str(_manifest(path, read_array(path, _MANIFEST)).get("kind"))


def read_stamp(path: Path) -> Stamp | None:
    """Read what made a saved noun; None where it was saved without saying so.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    Stamp or None
        What made it.

    Raises
    ------
    RunFormatError
        If the file or the stamp is damaged.
    """
    found = read_array(path, _STAMP)
    return None if found is None else Stamp.parse(found.tobytes())


def digest_of(path: Path) -> str:
    """Digest of the content of a saved result, whatever made it.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    RunFormatError
        If the file is missing or damaged.
    """
    return array_file.digest_of(path, {_STAMP})
