"""A family is a package whose ``__init__`` imports its members: its namespace is its list."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["members", "pick"]


def members(family: ModuleType) -> dict[str, Callable[..., Any]]:
    """List the public callables of a family's package by name, in the order of its ``__all__``.

    Parameters
    ----------
    family : module
        A package such as ``trajmap.scores``.

    Returns
    -------
    dict of str to callable
        Name and member.
    """
    names: list[str] = family.__all__
    return {name: getattr(family, name) for name in names if callable(getattr(family, name))}


def pick(kind: str, name: str, choices: dict[str, Any]) -> Any:
    """Look a word from the command line up, or raise an error that lists the choices.

    Parameters
    ----------
    kind : str
        What is chosen, for the message.
    name : str
        The word.
    choices : dict
        The known words.

    Returns
    -------
    object
        The chosen value.

    Raises
    ------
    InputError
        If the word is unknown.

    Examples
    --------
    >>> pick("model", "mlp", {"mlp": 1, "cnn": 2})
    1
    """
    if name not in choices:
        raise InputError(worded(kind, "one of " + ", ".join(choices), repr(name)))
    return choices[name]
