"""Which parameters and buffers a recorder takes; parameters by a function ``(name, parameter) -> bool``."""

import fnmatch
from collections.abc import Callable

import torch

from trajmap._models import check_parameter
from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["Select", "chosen_parameters", "kept_buffers", "lora", "matching", "requires_grad"]

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


def chosen_parameters(model: torch.nn.Module, select: Select) -> dict[str, torch.nn.Parameter]:
    """Parameters to record, by name; each must hold real numbers."""
    chosen = {name: p for name, p in model.named_parameters() if select(name, p)}
    for name, parameter in chosen.items():
        check_parameter(name, parameter)
        _require_storable(name, parameter)
    if not sum(parameter.numel() for parameter in chosen.values()):
        raise InputError(worded("select", "at least one parameter", "none selected"))
    return chosen


def kept_buffers(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Buffers that a state dict would hold and NumPy can: running statistics and their like."""
    saved = model.state_dict(keep_vars=True)
    kept = {n: b for n, b in model.named_buffers() if n in saved and not b.is_complex() and b.numel()}
    for name, buffer in kept.items():
        _require_storable(name, buffer)
    return kept


def _require_storable(name: str, tensor: torch.Tensor) -> None:
    """Refuse what a file of an iterate cannot hold under its name."""
    if tensor.is_meta:
        raise InputError(worded(name, "a tensor with values", "one on the meta device", "load the weights first"))
    if tensor.layout != torch.strided:
        raise InputError(worded(name, "a dense tensor", f"one of layout {tensor.layout}", "leave it out by select"))
    if name == "__metadata__":
        raise InputError(worded(name, "another name, since files keep their notes under it", "a tensor", "rename it"))
