"""The kinds of result: a file of this folder declares one, and is found by listing the folder.

A file ``name.py`` declares ``NAME = Kind(name="name", …)`` and makes its findings. Nothing else lists the kinds: the
report, ``trajmap plot``, ``trajmap info`` and the documentation go through `KINDS`, in the order of the page.
"""

import importlib
import os
import pkgutil
from pathlib import Path
from typing import Any

from trajmap.data.archive import noun_name
from trajmap.errors import RunFormatError
from trajmap.kinds.kind import Kind

__all__ = ["KINDS", "open_result"]

_SHARED = {"artefacts", "finding", "kind", "listed"}  # files here that declare no kind


def _listed() -> tuple[Kind[Any], ...]:
    names = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name not in _SHARED]
    found = [getattr(importlib.import_module(f"{__package__}.{name}"), name.upper()) for name in names]
    return tuple(sorted(found, key=lambda kind: (kind.order, kind.name)))


KINDS: tuple[Kind[Any], ...] = _listed()


def open_result(path: str | os.PathLike[str]) -> Any:
    """Open a result's file as the kind in its manifest; nothing in it is executed.

    Parameters
    ----------
    path : path-like
        A file that a verb left, or that a noun's ``save`` wrote.

    Returns
    -------
    object
        The noun.

    Raises
    ------
    RunFormatError
        If the file is missing or damaged, or holds something that no kind declares.
    """
    name = noun_name(Path(path))
    for kind in KINDS:
        if kind.noun.__name__ == name:
            return kind.noun.open(path)
    raise RunFormatError(f"{path}: expected a result of a known kind, got a {name}")
