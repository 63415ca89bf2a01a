"""Objects of any type, split into their tensors and the rest, and rebuilt."""

import io
import pickle
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["Structure", "map_tensors"]

# passed on unchanged: there is only one of each, or a copy would be another object
_SHARED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, torch.nn.Module, torch.Generator,
           weakref.ReferenceType)  # fmt: skip


class Structure:
    """An object without its tensors and arrays (`leaves`), from which equal objects are built with any leaves.

    Tuples, mappings, dataclasses, namespaces and the user's own classes are all handled by Python's copy protocol. A
    tensor that occurs twice is one leaf. Classes, functions and modules are passed on unchanged.

    Parameters
    ----------
    value : object
        The object to split; it is not changed.

    Raises
    ------
    TypeError
        If a part of it cannot be copied, for example an open file.

    Examples
    --------
    >>> taken = Structure({"x": torch.ones(2), "name": "a"})
    >>> taken.build([torch.zeros(2)])
    {'x': tensor([0., 0.]), 'name': 'a'}
    """

    def __init__(self, value: Any) -> None:
        buffer = io.BytesIO()
        taking = _Taking(buffer)
        try:
            taking.dump(value)
        except (pickle.PicklingError, AttributeError, RecursionError, RuntimeError) as error:
            raise TypeError(str(error)) from error
        self._bytes, self._parts = buffer.getvalue(), taking.parts
        self._where = [i for i, part in enumerate(taking.parts) if isinstance(part, (torch.Tensor, np.ndarray))]
        self.leaves: list[Any] = [taking.parts[i] for i in self._where]
        host = [id(tensor) for tensor in taking.host]
        self.stays = [
            id(leaf) in host for leaf in self.leaves
        ]  # leaves of the host, such as lengths of packed sequences

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for two objects of equal structure with identical leaves, as long as these exist."""
        return self._bytes, *map(id, self._parts)

    @property
    def opaque(self) -> bool:
        """Whether a part with its own state was passed on unchanged."""
        return any(isinstance(part, (torch.nn.Module, torch.Generator)) for part in self._parts)

    def without_leaves(self) -> "Structure":
        """Drop the leaves, to keep only the structure."""
        other = object.__new__(Structure)
        vars(other).update(vars(self))
        other._parts = list(self._parts)
        for i in self._where:
            other._parts[i] = None
        other.leaves = []
        return other

    def build(self, leaves: Sequence[Any]) -> Any:
        """Build a new object with these leaves."""
        parts = self._parts.copy()
        for i, leaf in zip(self._where, leaves, strict=True):
            parts[i] = leaf
        return _Building(self._bytes, parts).load()


class _Taking(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.parts: list[Any] = []
        self.host: list[torch.Tensor] = []
        self._known: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        if isinstance(value, torch.nn.utils.rnn.PackedSequence):
            self.host.append(value.batch_sizes)  # on the host by definition, wherever the data are
        leaf = isinstance(value, torch.Tensor) or (type(value) is np.ndarray and value.dtype != object)
        if not leaf and not isinstance(value, _SHARED):
            return None
        if id(value) not in self._known:
            self._known[id(value)] = len(self.parts)
            self.parts.append(value)
        return self._known[id(value)]


class _Building(pickle.Unpickler):  # ruff: ignore[suspicious-pickle-usage] - reads what was just written here
    def __init__(self, data: bytes, parts: list[Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._parts = parts

    def persistent_load(self, index: int) -> Any:
        return self._parts[index]


def map_tensors(value: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Build an equal object with a function applied to each tensor; arrays are passed on."""
    taken = Structure(value)
    return taken.build([function(leaf) if isinstance(leaf, torch.Tensor) else leaf for leaf in taken.leaves])
