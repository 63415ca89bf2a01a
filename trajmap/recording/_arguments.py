"""Checks and conversions of what a recorder is given."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch

from trajmap._validation import describe, worded
from trajmap.errors import InputError

__all__ = ["Select", "as_number", "checked_settings", "chosen_parameters", "plain_options", "requires_grad"]

Select = Callable[[str, torch.nn.Parameter], bool]

_RESERVED = ("every", "model", "optimizer", "versions")


def requires_grad(name: str, parameter: torch.nn.Parameter) -> bool:
    """Select the trainable parameters."""
    return parameter.requires_grad


def chosen_parameters(model: torch.nn.Module, select: Select) -> dict[str, torch.nn.Parameter]:
    """Parameters to record, by name; each must hold real numbers."""
    chosen = {name: p for name, p in model.named_parameters() if select(name, p)}
    for name, parameter in chosen.items():
        if isinstance(parameter, torch.nn.UninitializedParameter):
            raise InputError(worded(name, "a parameter with a shape", "a lazy one", "run the model on one batch"))
        if not parameter.is_floating_point():
            raise InputError(worded(name, "real numbers", f"{parameter.dtype}", "leave it out by select"))
    if not sum(parameter.numel() for parameter in chosen.values()):
        raise InputError(worded("select", "at least one parameter", "none selected"))
    return chosen


def as_number(name: str, value: object) -> float:
    """Convert a scalar, also a tensor with one entry; a word is refused."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.detach().item()
    try:
        if isinstance(value, str):  # float() would read one, but a word is a slip of the pen here
            raise TypeError
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(worded(name, "a number", describe(value))) from error


def checked_settings(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Check the user's settings: plain JSON, under names of their own."""
    try:
        found = dict(settings or {})
        json.dumps(found)
    except (TypeError, ValueError) as error:
        raise InputError(worded("settings", "plain JSON values", str(error))) from error
    taken = [name for name in _RESERVED if name in found]
    if taken:
        raise InputError(worded("settings", f"names other than {', '.join(_RESERVED)}", ", ".join(taken)))
    return found


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the options that JSON can hold; the rest, as functions, are left out."""
    found = {}
    for name, value in options.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        parts = [part.tolist() if isinstance(part, torch.Tensor) else part for part in parts]
        if all(part is None or isinstance(part, (bool, int, float, str)) for part in parts):
            found[name] = parts if isinstance(value, (list, tuple)) else parts[0]
    return found
