"""Where a verb's lines go: the terminal, nowhere with ``--quiet``, or one JSON object with ``--json``."""

import argparse
import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from trajmap import __version__

__all__ = ["NOT_OPTIONS", "chosen", "is_silent", "keep", "plain"]

NOT_OPTIONS = frozenset({"run", "json", "quiet", "debug"})  # what the command line itself adds to a verb's options


@dataclasses.dataclass
class _State:
    silent: bool = False
    lines: list[str] = dataclasses.field(default_factory=list)


_state = _State()


def is_silent() -> bool:
    """Return whether lines and bars are suppressed.

    Returns
    -------
    bool
        True with ``--quiet`` and ``--json``.
    """
    return _state.silent


def keep(text: str) -> None:
    """Keep a line for the JSON object.

    Parameters
    ----------
    text : str
        The line.
    """
    _state.lines.extend(text.split("\n"))


@contextlib.contextmanager
def chosen(verb: str, args: argparse.Namespace) -> Generator[None, None, None]:
    """Print as asked for while a verb runs; its JSON object comes at its end.

    Parameters
    ----------
    verb : str
        Name of the verb.
    args : argparse.Namespace
        Its arguments.

    Yields
    ------
    None
        While the verb runs.
    """
    as_json, before = getattr(args, "json", False), _state.silent
    _state.silent = as_json or getattr(args, "quiet", False)
    _state.lines.clear()
    known = _files(args) if as_json else {}
    try:
        yield
    finally:
        _state.silent = before
    if as_json:
        written = sorted(name for name, time in _files(args).items() if known.get(name) != time)
        options = {name: plain(value) for name, value in vars(args).items() if name not in NOT_OPTIONS}
        found = {
            "verb": verb,
            "version": __version__,
            "options": options,
            "written": written,
            "lines": list(_state.lines),
        }
        json.dump(found, sys.stdout, indent=2, allow_nan=False)
        print()


def _files(args: argparse.Namespace) -> dict[str, int]:
    folder = getattr(args, "run_folder", None)
    if folder is None:
        return {}
    root = Path(folder) / "artefacts"
    return {str(file.relative_to(root)): file.stat().st_mtime_ns for file in root.rglob("*.npz")}


def plain(value: Any) -> Any:
    """Make what JSON can hold: NaN and inf become words, paths text, arrays lists.

    Parameters
    ----------
    value : object
        A value.

    Returns
    -------
    object
        The same in JSON's types.

    Examples
    --------
    >>> plain({"p": np.float64("nan"), "at": (1, 2)})
    {'p': 'nan', 'at': [1, 2]}
    """
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, (list, tuple, set)):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)
