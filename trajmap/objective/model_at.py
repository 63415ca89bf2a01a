"""A model as a function of its parameters: what a loss calls, with the weights of one point θ."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch.func import functional_call

from trajmap._validation import Array
from trajmap.errors import InputError

__all__ = ["ModelAt", "Remembering", "as_array", "private_copy"]


class ModelAt:
    """A callable with given parameters, so that the user's own model is never written to.

    Parameters
    ----------
    module : torch.nn.Module
        The model.
    tensors : mapping of str to torch.Tensor
        Parameters and buffers to use instead of the module's own.
    """

    def __init__(self, module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
        self._module = module
        self._tensors = dict(tensors)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model's forward."""
        return functional_call(self._module, self._tensors, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"model: expected a call model(...) inside the loss, got the attribute {name!r}, which would not see "
            "the parameters that are being evaluated; repair: reach it through forward"
        )


class Remembering:
    """A model that runs each forward once: a loss and its metrics ask for the same one.

    Parameters
    ----------
    model : ModelAt
        The model at a point.
    """

    def __init__(self, model: ModelAt) -> None:
        self._model = model
        # arguments are told apart by identity, and kept, so that no identity is used again
        self._known: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model's forward, unless it was run with these very arguments."""
        key = (*map(id, args), *(hash(name) for name in kwargs), *map(id, kwargs.values()))
        if key not in self._known:
            self._known[key] = ((args, kwargs), self._model(*args, **kwargs))
        return self._known[key][1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def private_copy(model: torch.nn.Module, dtype: torch.dtype | None, device: torch.device | None) -> torch.nn.Module:
    """Copy a model in evaluation mode, without gradients.

    Parameters
    ----------
    model : torch.nn.Module
        The user's model; it is not changed.
    dtype, device : optional
        Convert the copy.

    Returns
    -------
    torch.nn.Module
        The copy.

    Raises
    ------
    InputError
        If the model cannot be copied.
    """
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    try:
        twin = copy.deepcopy(model)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"model: expected a model that copy.deepcopy can copy, got {error}") from error
    return twin.to(device=device, dtype=dtype).eval().requires_grad_(requires_grad=False)


def as_array(tensor: torch.Tensor) -> Array:
    """Bring a tensor to NumPy, in float32 where its own type is narrower."""
    array: Array = tensor.detach().to("cpu").to(torch.promote_types(tensor.dtype, torch.float32)).numpy()
    return array
