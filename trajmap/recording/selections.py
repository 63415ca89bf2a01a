"""Which parameters a recorder records: functions ``(name, parameter) -> bool``."""

import fnmatch
from collections.abc import Callable

import torch

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["Select", "lora", "matching", "requires_grad"]

Select = Callable[[str, torch.nn.Parameter], bool]


def requires_grad(name: str, parameter: torch.nn.Parameter) -> bool:
    """Select the trainable parameters."""
    return parameter.requires_grad


def lora(name: str, parameter: torch.nn.Parameter) -> bool:
    """Select the trainable adapter weights of a LoRA model, by the names that PEFT and others use."""
    return parameter.requires_grad and "lora_" in name


def matching(*patterns: str) -> Select:
    """Select parameters, trainable or not, whose names match one of some shell patterns.

    Parameters
    ----------
    *patterns : str
        For example ``"encoder.*.weight"``; ``*`` also matches dots.

    Returns
    -------
    callable
        A selection.

    Raises
    ------
    InputError
        If there is no pattern.

    Examples
    --------
    >>> chosen = matching("head.*", "*.bias")
    >>> [name for name in ("head.weight", "body.weight", "body.bias") if chosen(name, None)]
    ['head.weight', 'body.bias']
    """
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise InputError(worded("patterns", "at least one shell pattern such as 'encoder.*'", f"{patterns!r}"))
    return lambda name, parameter: any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
