"""A loss as a function of a tensor θ that may carry derivatives, and a model that runs each forward pass once."""

import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.func import functional_call

from trajmap.objective.structure import Structure

__all__ = ["Bound", "Remembering", "call_at"]


class Bound(torch.nn.Module):
    """A function of a model and a batch as a module, so that all of it uses the replaced parameters.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    function : callable
        ``function(model, batch)``.
    """

    def __init__(self, model: torch.nn.Module, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, batch: Any) -> Any:
        """Call the function."""
        return self.function(self.model, batch)


def call_at(
    model: torch.nn.Module, function: Callable[[Any, Any], Any], tensors: Mapping[str, torch.Tensor], batch: Any
) -> Any:
    """Call a function of a model and a batch with other tensors instead of the model's own.

    Parameters
    ----------
    model : torch.nn.Module
        The model; it is unchanged afterwards.
    function : callable
        ``function(model, batch)``.
    tensors : mapping of str to torch.Tensor
        Parameters and buffers by name, which may carry derivatives.
    batch : object
        The function's argument.

    Returns
    -------
    object
        Its result.
    """
    return functional_call(
        Bound(model, function), {f"model.{name}": value for name, value in tensors.items()}, (batch,)
    )


class Remembering:
    """A model that runs each forward pass once, because a loss and its metrics need the same one.

    An output is passed to a later function, in fresh containers, only if no tensor in it or in its arguments was
    written to, and if the first function did not change the model's state. Objects with hidden tensors are never
    shared, and functions that set attributes of the model or call its methods share nothing.

    Parameters
    ----------
    model : torch.nn.Module
        The model at a point.
    """

    _model: torch.nn.Module
    _known: "dict[tuple[Any, ...], _Call]"
    _new: "dict[tuple[Any, ...], _Call]"

    def __init__(self, model: torch.nn.Module) -> None:
        # arguments are compared by identity, and kept, so that no identity is reused
        vars(self).update(_model=model, _known={}, _new={})

    def end(self, *, changed: bool) -> None:
        """Note that a function has ended, and whether it changed the model's state."""
        if not changed:
            self._known.update(self._new)
        self._new.clear()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model's forward pass, unless it was already run with the same arguments."""
        asked = _seen((args, kwargs))
        if asked is None:
            return self._model(*args, **kwargs)
        known = self._known.get(asked.key)
        if known is not None and known.untouched():
            return known.found.build(known.found.leaves)
        before = _versions(asked)
        out = self._model(*args, **kwargs)
        found = _seen(out)
        if found is not None and _versions(asked) == before:
            self._new[asked.key] = _Call(asked, found)
        return out

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        if isinstance(found, types.MethodType):
            self._known.clear()
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        self._known.clear()
        setattr(self._model, name, value)


class _Call:
    """Arguments and output of a forward pass."""

    def __init__(self, asked: Structure, found: Structure) -> None:
        self.asked, self.found = asked, found
        self._versions = _versions(asked), _versions(found)

    def untouched(self) -> bool:
        """Whether no tensor was written to since."""
        return (_versions(self.asked), _versions(self.found)) == self._versions


def _seen(value: Any) -> Structure | None:
    """Split an object into leaves, if only tensors whose writes torch counts can change in it."""
    try:
        taken = Structure(value)
    except TypeError:
        return None
    counted = all(isinstance(leaf, torch.Tensor) and not leaf.is_inference() for leaf in taken.leaves)
    return taken if counted and not taken.opaque else None


def _versions(taken: Structure) -> list[int]:
    """Count the writes to each tensor."""
    return [leaf._version for leaf in taken.leaves]
