"""A model's state apart from its parameters: buffers and attributes, restored after each call."""

from typing import Any

import torch

__all__ = ["State"]

_CORE = {"_parameters", "_buffers", "_modules"}


class State:
    """The buffers and attributes of a module and its children at one moment.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._modules = list(module.modules())
        self._attributes = [_attributes(part) for part in self._modules]
        self._buffers = [
            (part, key, _Kept(value)) for part in self._modules for key, value in part._buffers.items()
        ]  # fmt: skip
        self._tensors = [
            _Kept(value) for found in self._attributes for value in found.values() if type(value) is torch.Tensor
        ]
        self._lists = [
            (value, list(value)) for found in self._attributes for value in found.values() if isinstance(value, list)
        ]
        self._dicts = [
            (value, dict(value)) for found in self._attributes for value in found.values() if type(value) is dict
        ]

    def restore(self) -> bool:
        """Restore everything; return whether anything had changed."""
        changed = False
        for part, key, kept in self._buffers:
            if part._buffers.get(key) is not kept.tensor:
                part._buffers[key] = kept.tensor
                changed = True
            changed |= kept.restore()
        for part, before in zip(self._modules, self._attributes, strict=True):
            changed |= _put_back(part, before)
        for kept in self._tensors:
            changed |= kept.restore()
        for items, old in self._lists:
            if len(items) != len(old) or any(a is not b for a, b in zip(items, old, strict=True)):
                items[:] = old
                changed = True
        for table, known in self._dicts:
            if table.keys() != known.keys() or any(table[key] is not known[key] for key in known):
                table.clear()
                table.update(known)
                changed = True
        return changed

    def rebase(self, buffers: dict[str, torch.Tensor], module: torch.nn.Module) -> None:
        """Use other values of some buffers as those to restore."""
        own = dict(module.named_buffers())
        with torch.no_grad():
            for name, values in buffers.items():
                own[name].copy_(values)
        for _, _, kept in self._buffers:
            kept.renew()


class _Kept:
    """A tensor and its values; torch counts its writes, so an unchanged one costs one comparison."""

    def __init__(self, tensor: torch.Tensor | None) -> None:
        self.tensor = tensor
        self.renew()

    def renew(self) -> None:
        self._values = None if self.tensor is None else self.tensor.detach().clone()
        self._version = 0 if self.tensor is None else self.tensor._version

    def restore(self) -> bool:
        if self.tensor is None or self._values is None or self.tensor._version == self._version:
            return False
        with torch.no_grad():
            self.tensor.copy_(self._values)
        self._version = self.tensor._version
        return True


def _attributes(part: torch.nn.Module) -> dict[str, Any]:
    return {key: value for key, value in vars(part).items() if key not in _CORE}


def _put_back(part: torch.nn.Module, before: dict[str, Any]) -> bool:
    now, changed = vars(part), False
    for key, value in before.items():
        if key not in now or now[key] is not value:
            now[key] = value
            changed = True
    if len(now) > len(before) + len(_CORE):
        for key in [key for key in now if key not in before and key not in _CORE]:
            del now[key]
            changed = True
    return changed
