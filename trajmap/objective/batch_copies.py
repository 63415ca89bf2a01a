"""Private copies of the batches of a loader."""

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.objective.batches import Batch, Batches, differ
from trajmap.objective.reading import read_all
from trajmap.objective.structure import Structure

__all__ = ["fixed_batches"]


def fixed_batches(
    batches: Iterable[Any],
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    *,
    max_batches: int | None = None,
) -> Batches:
    """Read the batches once, so that every evaluation sees the same data in the same order.

    Parameters
    ----------
    batches : iterable
        A loader or a list of batches.
    device, dtype : optional
        Where tensors go; `dtype` converts floating tensors only.
    max_batches : int, optional
        Read only this many.

    Returns
    -------
    Batches
        With copies of all tensors; the user's tensors never change.

    Raises
    ------
    InputError
        If there is no batch or there are too many, a batch holds an object that cannot be copied, or `device` or
        `dtype` is given for arrays.

    Examples
    --------
    >>> read = fixed_batches([{"x": torch.ones(2), "name": "a"}])
    >>> read[0].pop("x"), read[0]
    (tensor([1., 1.]), {'x': tensor([1., 1.]), 'name': 'a'})
    """
    return Batches(read_all(batches, _Reader(device, dtype).take, max_batches))


class _Reader:
    """Copy batches; equal tensors share one copy."""

    def __init__(self, device: torch.device | None, dtype: torch.dtype | None) -> None:
        self._device, self._dtype = device, dtype
        self._seen: dict[int, tuple[weakref.ReferenceType[Any], Any]] = {}

    def take(self, batch: Any) -> tuple[Batch, bool, int]:
        """Copy a batch; return whether all of it was known already, and the number of added bytes."""
        try:
            structure = Structure(batch)
        except TypeError as error:
            raise InputError(worded("batches", "batches that can be copied", f"{type(batch).__name__} ({error})",
                                    "remove that part from the batch")) from error  # fmt: skip
        leaves, added, again = [], 0, bool(structure.leaves)
        with torch.inference_mode(mode=False):
            for leaf, stays in zip(structure.leaves, structure.stays, strict=True):
                copied, known = self._copy(leaf, stays=stays)
                leaves.append(copied)
                again &= known
                added += 0 if known else copied.nbytes
        wants = [isinstance(leaf, torch.Tensor) and leaf.is_leaf and leaf.requires_grad for leaf in structure.leaves]
        return Batch(structure.without_leaves(), leaves, wants), again, added

    def _copy(self, leaf: Any, *, stays: bool) -> tuple[Any, bool]:
        known = self._seen.get(id(leaf))
        if known is not None and known[0]() is leaf:
            own = self._placed(leaf, stays=stays, copy=False)
            if not differ([own], [known[1]]):
                return known[1], True
        copied = self._placed(leaf, stays=stays, copy=True)
        self._seen[id(leaf)] = weakref.ref(leaf), copied
        return copied, False

    def _placed(self, leaf: Any, *, stays: bool, copy: bool) -> Any:
        if isinstance(leaf, np.ndarray):
            moved = self._device is not None and self._device.type != "cpu"
            if moved or (self._dtype is not None and leaf.dtype.kind == "f"):
                raise InputError(worded("batches", "tensors if device or dtype is given", leaf,
                                        "torch.as_tensor in the loader"))  # fmt: skip
            return leaf.copy() if copy else leaf
        if stays:
            return leaf.detach().clone() if copy else leaf
        dtype = self._dtype if self._dtype is not None and leaf.is_floating_point() else None
        return leaf.detach().to(device=self._device, dtype=dtype, copy=copy)
