"""The user's forward hooks on a private copy: those that only read are removed, those that change outputs stay."""

import copy
import dis
import functools
import types
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from trajmap.objective.structure import map_tensors

__all__ = ["TABLES", "copy_hooks", "settle_hooks"]

# a gradient is the derivative of the loss: hooks on backward passes do not belong to it
TABLES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_FORWARD = TABLES[:2]
_OPTIONS = ("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs")
_WHOLE = (types.ModuleType, type, types.BuiltinFunctionType)
Memo = dict[int, Any]


class Trial:
    """A monitored hook: whether it ever returns, writes or sets anything.

    Parameters
    ----------
    hook : callable
        The hook, copied so that it cannot write to the user's objects.
    """

    def __init__(self, hook: Any) -> None:
        self.hook = hook
        self.called = self.acts = False

    def __call__(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Call the hook, and check its effects."""
        tensors, kept = _marks(module, args, kwargs)
        found = self.hook(module, *args, **kwargs)
        again, now = _marks(module, args, kwargs)
        same = tensors == again and len(kept) == len(now) and all(a is b for a, b in zip(kept, now, strict=True))
        self.called = True
        self.acts = self.acts or found is not None or not same
        return found


def _marks(module: torch.nn.Module, args: Any, kwargs: Any) -> tuple[list[int], list[Any]]:
    versions: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        versions.append(0 if tensor.is_inference() else tensor._version)
        return tensor

    map_tensors((args, kwargs, dict(module._parameters), dict(module._buffers)), note)
    return versions, [*vars(module).values(), *module._parameters.values(), *module._buffers.values()]


def copy_hooks(parts: list[torch.nn.Module], memo: Memo) -> None:
    """Put copies of forward hooks on the copies of modules: torch's own unchanged, others monitored.

    Objects in the others' closures, globals and defaults are copied with them. A hook that cannot be copied is omitted,
    with a warning.

    Parameters
    ----------
    parts : list of torch.nn.Module
        The modules.
    memo : dict
        Memo of their deep copy.
    """
    dropped = []
    for part in parts:
        for table in _FORWARD:
            for key, hook in vars(part).get(table, {}).items():
                twin = memo[id(part)]
                if not hasattr(twin, table):
                    continue
                try:
                    if _is_torchs(hook):
                        vars(twin)[table][key] = copy.deepcopy(hook, memo)
                    else:
                        vars(twin)[table][key] = Trial(_isolated(hook, memo))
                except Exception:  # a user's object may raise anything when it is copied
                    dropped.append(_name(hook))
    if dropped:
        warnings.warn(
            f"model: the hooks {', '.join(dropped)} cannot be copied and are omitted from the objective; "
            "if one of them changes outputs, repair: put the change into the model's forward",
            stacklevel=5,
        )


def settle_hooks(module: torch.nn.Module) -> None:
    """End the monitoring: remove hooks that only read, unless an active hook reads what they write.

    Parameters
    ----------
    module : torch.nn.Module
        The private copy, after a forward pass.
    """
    places = [(part, vars(part)[table]) for part in module.modules() for table in _FORWARD if table in vars(part)]
    trials = [trial for _, hooks in places for trial in hooks.values() if isinstance(trial, Trial)]
    stays = {id(trial) for trial in trials if trial.acts or not trial.called}
    while True:
        shared = {name for trial in trials if id(trial) in stays for name in _holds(trial.hook)}
        more = {id(trial) for trial in trials if shared & set(_holds(trial.hook))} - stays
        if not more:
            break
        stays |= more
    for part, hooks in places:
        for key, trial in list(hooks.items()):
            if not isinstance(trial, Trial):
                continue
            if id(trial) in stays:
                hooks[key] = trial.hook
                continue
            del hooks[key]
            for options in _OPTIONS:
                vars(part)[options].pop(key, None)


def _is_torchs(hook: Any) -> bool:
    while isinstance(hook, functools.partial):
        hook = hook.func
    owner = hook.__self__ if isinstance(hook, types.MethodType) else hook
    home = owner.__module__ if isinstance(owner, types.FunctionType) else type(owner).__module__
    return (home or "").partition(".")[0] == "torch" and not isinstance(owner, torch.nn.Module)


def _name(hook: Any) -> str:
    return getattr(hook, "__qualname__", None) or type(hook).__name__


def _isolated(value: Any, memo: Memo) -> Any:
    """Copy a value deeply, including the closures of functions."""
    if isinstance(value, types.FunctionType):
        return _isolated_function(value, memo)
    if isinstance(value, types.MethodType):
        return types.MethodType(_isolated(value.__func__, memo), copy.deepcopy(value.__self__, memo))
    if isinstance(value, functools.partial):
        args = [_isolated(item, memo) for item in value.args]
        options = {key: _isolated(item, memo) for key, item in value.keywords.items()}
        return functools.partial(_isolated(value.func, memo), *args, **options)
    return value if isinstance(value, _WHOLE) else copy.deepcopy(value, memo)


def _isolated_function(function: types.FunctionType, memo: Memo) -> types.FunctionType:
    if id(function) in memo:
        return memo[id(function)]
    own = function.__globals__
    around = memo.setdefault(id(own), dict(own))  # shared by the hooks of one file
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    twin = types.FunctionType(function.__code__, around, function.__name__, None, cells)
    memo[id(function)] = twin
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = _isolated(old.cell_contents, memo)
    for name in _names(function.__code__):
        value = own.get(name)
        foreign = isinstance(value, types.FunctionType) and value.__globals__ is not own
        if value is not None and not foreign:
            around[name] = _isolated(value, memo)
    twin.__defaults__ = copy.deepcopy(function.__defaults__, memo)
    twin.__kwdefaults__ = copy.deepcopy(function.__kwdefaults__, memo)
    twin.__qualname__, twin.__module__ = function.__qualname__, function.__module__
    return twin


def _names(code: types.CodeType) -> Iterator[str]:
    """Names of the globals that a function reads or writes."""
    yield from (str(step.argval) for step in dis.get_instructions(code) if step.opname.endswith("_GLOBAL"))
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def _holds(hook: Any) -> list[int]:
    """Identities of the objects that a copied hook can write to directly."""
    while isinstance(hook, functools.partial):
        hook = hook.func
    if isinstance(hook, types.MethodType):
        values = [hook.__self__]
    elif isinstance(hook, types.FunctionType):
        closed = [cell.cell_contents for cell in hook.__closure__ or ()]
        named = [hook.__globals__.get(name) for name in _names(hook.__code__)]
        values = [*closed, *named, *(hook.__defaults__ or ())]
    else:
        values = [hook]
    plain = (torch.nn.Module, types.FunctionType, *_WHOLE, str, int, float, bool, type(None))
    return [id(value) for value in values if not isinstance(value, plain)]
