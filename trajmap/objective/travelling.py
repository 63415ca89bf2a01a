"""Make a module picklable: pickle cannot handle the classes that torch makes for parametrised layers."""

import torch
from torch.nn.utils import parametrize

__all__ = ["packed", "unpacked"]

Names = dict[str, list[str]]


def packed(module: torch.nn.Module) -> tuple[torch.nn.Module, Names]:
    """Restore, in place, the original class of parametrised layers.

    Parameters
    ----------
    module : torch.nn.Module
        A copy that is not evaluated.

    Returns
    -------
    module : torch.nn.Module
        The same.
    names : dict of str to list of str
        Parametrised tensors by layer, for `unpacked`.
    """
    names = {}
    for name, part in module.named_modules():
        if parametrize.is_parametrized(part):
            names[name] = list(part.parametrizations)
            part.__class__ = parametrize.type_before_parametrizations(part)
    return module, names


def unpacked(module: torch.nn.Module, names: Names) -> torch.nn.Module:
    """Give parametrised layers, in place, their own classes again."""
    for name, tensors in names.items():
        part = module.get_submodule(name)
        parametrize._inject_new_class(part)
        for tensor in tensors:
            parametrize._inject_property(part, tensor)
    return module
