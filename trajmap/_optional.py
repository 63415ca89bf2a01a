"""Import a library that belongs to an optional extra, or raise an error with the extra to install."""

import importlib
from types import ModuleType

from trajmap.errors import MissingExtraError

__all__ = ["optional_import"]


def optional_import(module: str, extra: str) -> ModuleType:
    """Import `module`, or raise an error that names the extra which brings it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        Name of the extra in ``pip install trajmap[extra]``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        If the module is not installed.

    Examples
    --------
    >>> optional_import("json", "none").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f"{module}: expected to be installed, got {error}; repair: pip install 'trajmap[{extra}]'"
        raise MissingExtraError(msg) from error
