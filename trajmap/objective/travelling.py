"""A module that pickle can take: torch gives parametrised layers a class of their own, which it cannot."""

import torch
from torch.nn.utils import parametrize

__all__ = ["packed", "unpacked"]

Names = dict[str, list[str]]


def packed(module: torch.nn.Module) -> tuple[torch.nn.Module, Names]:
    """Give parametrised layers, in place, the class that they had before.

    Parameters
    ----------
    module : torch.nn.Module
        A copy that nobody evaluates.

    Returns
    -------
    module : torch.nn.Module
        The same.
    names : dict of str to list of str
        What is parametrised in which layer, for `unpacked`.
    """
    names = {}
    for name, part in module.named_modules():
        if parametrize.is_parametrized(part):
            names[name] = list(part.parametrizations)
            part.__class__ = parametrize.type_before_parametrizations(part)
    return module, names


def unpacked(module: torch.nn.Module, names: Names) -> torch.nn.Module:
    """Give them, in place, their own classes again."""
    for name, tensors in names.items():
        part = module.get_submodule(name)
        parametrize._inject_new_class(part)
        for tensor in tensors:
            parametrize._inject_property(part, tensor)
    return module
