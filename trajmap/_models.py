"""What the rooms that hold torch models share: taking wrappers off, and which parameters can be entries of θ."""

import torch

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["check_parameter", "is_compiled", "is_parallel", "unwrapped"]


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether a module is what ``torch.compile`` put around another."""
    # its class is private; this attribute of it is what PyTorch's own documentation names
    return "_orig_mod" in module._modules


def is_parallel(module: torch.nn.Module) -> bool:
    """Whether a module only spreads another over devices or processes."""
    return isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel))


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """Take off what compilation, data parallelism and weight averaging put around a model."""
    while True:
        if is_compiled(model):
            model = model._modules["_orig_mod"]  # type: ignore[assignment]
        elif is_parallel(model) or isinstance(model, torch.optim.swa_utils.AveragedModel):
            model = model.module  # type: ignore[assignment]
        else:
            return model


def check_parameter(name: str, parameter: torch.Tensor) -> None:
    """Refuse what cannot be entries of θ: a parameter must hold real numbers, here and now.

    Parameters
    ----------
    name : str
        Of the parameter.
    parameter : torch.Tensor
        The parameter.

    Raises
    ------
    InputError
        If it is lazy, on the meta device, complex, quantised or an integer.
    """
    if isinstance(parameter, torch.nn.UninitializedParameter):
        raise InputError(worded(name, "a parameter with a shape", "a lazy one", "run the model on one batch"))
    if parameter.is_meta:
        raise InputError(worded(name, "a parameter with values", "one on the meta device", "load the weights first"))
    if parameter.is_complex():
        repair = "hold real and imaginary part as a real parameter and join them by torch.view_as_complex"
        raise InputError(worded(name, "real numbers", f"{parameter.dtype}", repair))
    if not parameter.is_floating_point():
        raise InputError(worded(name, "real numbers", f"{parameter.dtype}", "leave it out by select or layout"))
