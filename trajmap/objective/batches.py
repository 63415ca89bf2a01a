"""The data of an objective: a fixed list of batches, each weighted by its number of samples."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["batch_weights", "fixed_batches", "map_tensors", "sized_tensors"]


def map_tensors(batch: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Apply a function to every tensor of nested tuples, lists and mappings; the rest is passed through."""
    if isinstance(batch, torch.Tensor):
        return function(batch)
    if isinstance(batch, Mapping):
        return {key: map_tensors(value, function) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(value, function) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(map_tensors(value, function) for value in batch)
    return batch


def sized_tensors(batch: Any) -> list[torch.Tensor]:
    """Collect the tensors of a batch that have a first axis, in order: the first tells the number of samples."""
    found: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim:
            found.append(tensor)
        return tensor

    map_tensors(batch, note)
    return found


def fixed_batches(batches: Iterable[Any], device: torch.device | None, dtype: torch.dtype | None) -> list[Any]:
    """Read the batches once, so that every evaluation sees the same data in the same order.

    Parameters
    ----------
    batches : iterable
        A loader or a list of batches.
    device, dtype : optional
        Where tensors go; `dtype` converts floating tensors only.

    Returns
    -------
    list
        The batches, tensors detached (the user's own are never marked or changed).

    Raises
    ------
    InputError
        If there is no batch.
    """

    def place(tensor: torch.Tensor) -> torch.Tensor:
        wanted = dtype if dtype is not None and tensor.is_floating_point() else None
        return tensor.detach().to(device=device, dtype=wanted)

    if isinstance(batches, torch.Tensor):
        raise InputError(worded("batches", "an iterable of batches", "one tensor", "pass [batch]"))
    found = [map_tensors(batch, place) for batch in batches]
    if not found:
        raise InputError(worded("batches", "at least one batch", "none"))
    return found


def batch_weights(batches: list[Any]) -> list[float]:
    """Weigh batches by their number of samples: the first axis of the first tensor that has one.

    A plain mean of batch means is wrong when the last batch is smaller. Batches without such a tensor weigh alike.

    Parameters
    ----------
    batches : list
        The batches.

    Returns
    -------
    list of float
        Shares that sum to 1.

    Raises
    ------
    InputError
        If all batches are empty.

    Examples
    --------
    >>> batch_weights([(torch.zeros(3, 2),), (torch.zeros(1, 2),)])
    [0.75, 0.25]
    """
    sizes: list[int] = []
    for batch in batches:
        sized = sized_tensors(batch)
        sizes.append(len(sized[0]) if sized else 1)
    total = sum(sizes)
    if not total:
        raise InputError(worded("batches", "at least one sample", "empty batches"))
    return [size / total for size in sizes]
