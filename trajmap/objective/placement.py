"""The device that objectives are made on where their maker names none."""

import contextlib
from collections.abc import Generator
from contextvars import ContextVar

import torch

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["chosen_device", "default_device"]

_default: ContextVar[torch.device | None] = ContextVar("trajmap_device", default=None)


@contextlib.contextmanager
def default_device(device: str | torch.device | None) -> Generator[None, None, None]:
    """Make objectives on a device, unless they are given one themselves.

    Parameters
    ----------
    device : str, torch.device or None
        The device; None changes nothing.

    Yields
    ------
    None
        While the choice holds.

    Raises
    ------
    InputError
        If there is no such device here.

    Examples
    --------
    >>> with default_device("cpu"):
    ...     chosen_device(None)
    device(type='cpu')
    """
    try:
        place = None if device is None else torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        got = f"{device} ({str(error).splitlines()[0]})"
        raise InputError(worded("device", "one of this machine, as cpu or cuda", got)) from error
    token = _default.set(place)
    try:
        yield
    finally:
        _default.reset(token)


def chosen_device(device: str | torch.device | None) -> torch.device | None:
    """Take the device that is named, or the default of the moment.

    Parameters
    ----------
    device : str, torch.device or None
        What was named.

    Returns
    -------
    torch.device or None
        None where nobody chose: the model stays where it is.
    """
    return _default.get() if device is None else torch.device(device)
