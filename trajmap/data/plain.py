"""Settings as plain JSON, in the form in which they are read back."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from trajmap._validation import describe, worded
from trajmap.errors import InputError

__all__ = ["plain_json"]


def plain_json(name: str, value: Any) -> Any:
    """Convert a value to the form in which JSON returns it.

    Parameters
    ----------
    name : str
        Name of the value.
    value : object
        None, a bool, a number, a string, or mappings, lists and tuples of them; also NumPy's numbers.

    Returns
    -------
    object
        The same with string keys, lists for tuples, and Python's own numbers.

    Raises
    ------
    InputError
        If it contains other objects, or two keys become equal strings.

    Examples
    --------
    >>> plain_json("settings", {"lr_at": {0: np.float32(0.5), 10: (1, 2)}})
    {'lr_at': {'0': 0.5, '10': [1, 2]}}
    """
    try:
        found = _plain(name, "", value)
        return json.loads(
            json.dumps(found)
        )  # also values that JSON writes but does not read, such as an extremely long integer
    except InputError:
        raise
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InputError(worded(name, "plain JSON values", str(error))) from error


def _plain(name: str, place: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, part in value.items():
            word = _word(name, key)
            if word in found:
                raise InputError(worded(name, "keys that differ as strings", f"{word!r} twice"))
            found[word] = _plain(name, f"{place}[{word!r}]", part)
        return found
    if isinstance(value, (list, tuple)):
        return [_plain(name, f"{place}[{i}]", part) for i, part in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    got = describe(value) + (f" at {place}" if place else "")
    raise InputError(worded(name, "plain JSON values", got, "convert it to numbers and strings"))


def _word(name: str, key: Any) -> str:
    key = key.item() if isinstance(key, np.generic) else key
    if isinstance(key, str):
        return str(key)
    if key is None or isinstance(key, (bool, int, float)):
        return json.dumps(key)
    raise InputError(worded(name, "strings or numbers as keys", describe(key)))
