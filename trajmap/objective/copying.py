"""Copy a model so that nothing in the copy refers to the model: closures over it are rebound to the copy."""

import copy
import functools
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from trajmap._models import is_compiled, is_parallel
from trajmap.objective.hooks import TABLES, copy_hooks

__all__ = ["again", "copied"]

Memo = dict[int, Any]


class Through(torch.nn.Module):
    """Replace a wrapper around a part of a model by the part itself, under the wrapper's name for it.

    Parameters
    ----------
    name : str
        The wrapper's name for the wrapped part.
    inner : torch.nn.Module
        The wrapped part.
    """

    def __init__(self, name: str, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner_name = name
        self._modules[name] = inner  # `add_module` first checks for such an attribute

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the part."""
        return self._modules[self.inner_name](*args, **kwargs)  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules[self.__dict__["inner_name"]], name)


def copied(model: torch.nn.Module) -> torch.nn.Module:
    """Copy a model deeply, also if ``copy.deepcopy`` alone fails or leaves references to the model.

    Tensors with graphs that a forward pass stored in attributes are detached. Compiled and parallel parts are replaced
    by the plain parts, under the same names. Closures over the model become closures over the copy. Hooks are copied by
    `copy_hooks`. A copied Lightning module has no trainer and logs nothing.

    Parameters
    ----------
    model : torch.nn.Module
        The model; it is not changed.

    Returns
    -------
    torch.nn.Module
        The copy.
    """
    memo: Memo = {}
    parts = list(model.modules())
    for part in parts:
        for value in _tensors_of(vars(part)):
            memo[id(value)] = value.detach().clone()
        for table in TABLES:
            if table in vars(part):
                memo[id(vars(part)[table])] = OrderedDict()
    loose = [vars(part).get(name) for part in parts if _is_lightning(part) for name in _TIES]
    for tie in loose:
        if tie is not None:
            memo[id(tie)] = _Nobody()
    _copy_wrapped(parts, memo)
    twin = copy.deepcopy(model, memo)
    known = {id(part) for part in parts} | {id(p) for p in model.parameters()}
    for part in parts:
        _bind(part, memo[id(part)], memo, known)
    copy_hooks(parts, memo)
    for part in twin.modules():
        if _is_lightning(part):
            vars(part).update(dict.fromkeys(_TIES), log=silent, log_dict=silent)
    return twin


def again(twin: torch.nn.Module, memo: Mapping[int, torch.Tensor]) -> torch.nn.Module:
    """Copy a private copy again, with some tensors shared or replaced.

    Parameters
    ----------
    twin : torch.nn.Module
        The result of `copied`.
    memo : mapping of int to torch.Tensor
        Replacements of tensors, by identity.

    Returns
    -------
    torch.nn.Module
        The copy; closures and hooks refer to it.
    """
    known_to_copy: Memo = dict(memo)
    found = copy.deepcopy(twin, known_to_copy)
    parts = list(twin.modules())
    known = {id(part) for part in parts} | {id(p) for p in twin.parameters()}
    for part in parts:
        other = known_to_copy[id(part)]
        _bind(part, other, known_to_copy, known)
        for table in TABLES:
            hooks = vars(other).get(table, {})
            hooks.update({key: _bound(hook, known_to_copy, known) for key, hook in hooks.items()})
    return found


_TIES = ("_trainer", "_fabric")  # a Lightning module's attributes for its trainer


class _Nobody:
    """Stand in for a trainer while its module is copied."""


def silent(*_: Any, **__: Any) -> None:
    """Log nothing."""


def _is_lightning(part: torch.nn.Module) -> bool:
    return any(
        base.__name__ == "LightningModule" and base.__module__.partition(".")[0] in {"lightning", "pytorch_lightning"}
        for base in type(part).__mro__
    )


def _tensors_of(value: Any, depth: int = 3) -> Iterator[torch.Tensor]:
    """Tensors with graphs among the attributes of a module, also in lists and dicts; they cannot be copied."""
    if isinstance(value, torch.Tensor):
        if not value.is_leaf:
            yield value
    elif depth and isinstance(value, (dict, list, tuple)):
        for item in list(value.values() if isinstance(value, dict) else value):
            yield from _tensors_of(item, depth - 1)


def _copy_wrapped(parts: list[torch.nn.Module], memo: Memo) -> None:
    """Copy compiled or parallel parts without their wrappers, innermost first."""
    for part in reversed(parts):
        if is_compiled(part) or is_parallel(part):
            name = "_orig_mod" if is_compiled(part) else "module"
            inner: Any = part._modules[name]
            memo[id(part)] = Through(name, copy.deepcopy(inner, memo))


def _bind(part: torch.nn.Module, twin: torch.nn.Module, memo: Memo, known: set[int]) -> None:
    for key, value in list(vars(part).items()):
        if key in TABLES or key not in vars(twin):
            continue
        found = _bound(value, memo, known)
        if found is not value:
            vars(twin)[key] = found


def _bound(value: Any, memo: Memo, known: set[int]) -> Any:
    """Rebind closures over the model, also in lists and dicts, to the copy."""
    if isinstance(value, types.FunctionType):
        return _bound_function(value, memo, known) if _leads_to(value, known) else value
    if isinstance(value, types.MethodType) and _leads_to(value, known):
        owner = memo.get(id(value.__self__), value.__self__)
        return types.MethodType(_bound(value.__func__, memo, known), owner)
    if isinstance(value, functools.partial) and _leads_to(value, known):
        args = [_bound(item, memo, known) for item in value.args]
        options = {key: _bound(item, memo, known) for key, item in value.keywords.items()}
        return functools.partial(_bound(value.func, memo, known), *args, **options)
    if type(value) in {list, tuple} and _leads_to(value, known):
        return type(value)(_bound(item, memo, known) for item in value)
    if type(value) is dict and _leads_to(value, known):
        return {key: _bound(item, memo, known) for key, item in value.items()}
    return memo[id(value)] if id(value) in known else value


def _bound_function(function: types.FunctionType, memo: Memo, known: set[int]) -> types.FunctionType:
    if id(function) in memo:
        return memo[id(function)]
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    twin = types.FunctionType(function.__code__, function.__globals__, function.__name__, None, cells)
    memo[id(function)] = twin
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        if not _is_empty(old):
            cell.cell_contents = _bound(old.cell_contents, memo, known)
    twin.__defaults__ = _bound(function.__defaults__, memo, known)
    twin.__kwdefaults__ = _bound(function.__kwdefaults__, memo, known)
    functools.update_wrapper(twin, function)
    vars(twin).update({key: _bound(item, memo, known) for key, item in vars(function).items()})
    return twin


def _leads_to(value: Any, known: set[int], seen: set[int] | None = None) -> bool:
    """Whether the closure of a function refers to one of the known objects."""
    seen = set() if seen is None else seen
    if id(value) in known:
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    return any(_leads_to(item, known, seen) for item in _inside(value))


def _inside(value: Any) -> list[Any]:
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if not _is_empty(cell)]
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if type(value) in {list, tuple}:
        return list(value)
    return list(value.values()) if type(value) is dict else []


def _is_empty(cell: types.CellType) -> bool:
    return cell == types.CellType()
