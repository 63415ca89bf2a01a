"""Run a network once and tie the axes of all its tensors, to find the parameters with the same units.

The forward pass is traced operation by operation on real tensors, so the order of definition of layers, repeated
layers, skips and gates need no special rule. Operations without a rule pin all their axes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import (  # ruff: ignore[import-private-name] - it has no public name
    TorchDispatchMode,
)

from trajmap.basins.unit_axes import Axis, fresh, pin
from trajmap.basins.unit_inputs import tensors_in

__all__ = ["AxisTrace", "Call", "Norm", "Rule"]

_CONSTANT = "it is combined with a constant of the forward pass"


@dataclasses.dataclass(frozen=True)
class Norm:
    """A BatchNorm that was evaluated with stored statistics, by the names of its tensors.

    Parameters
    ----------
    weight, bias : str
        Its parameters; empty if it has none.
    mean, variance : str
        Its statistics.
    eps : float
        The constant added to the variance.
    """

    weight: str
    bias: str
    mean: str
    variance: str
    eps: float


@dataclasses.dataclass(frozen=True)
class Call:
    """One operation that was run.

    Parameters
    ----------
    name : str
        For example ``mm``.
    pointwise : bool
        Whether it works entry by entry.
    arguments : dict
        By name.
    operands, results : list of torch.Tensor
        Its inputs and outputs.
    """

    name: str
    pointwise: bool
    arguments: dict[str, Any]
    operands: list[torch.Tensor]
    results: list[torch.Tensor]

    @property
    def out(self) -> torch.Tensor:
        """The first result."""
        return self.results[0]


Rule = Callable[["AxisTrace", Call], None]


class AxisTrace(TorchDispatchMode):
    """Trace the operations inside a ``with`` block, without changing them.

    Parameters
    ----------
    rules : mapping of str to callable
        One rule per operation, by its name.
    pointwise : callable
        The rule of entrywise operations.
    """

    def __init__(self, rules: Mapping[str, Rule], pointwise: Rule) -> None:
        super().__init__()
        self._rules, self._pointwise = rules, pointwise
        # tensors are compared by identity, and kept, so that no identity is reused
        self._known: dict[int, tuple[torch.Tensor, list[Axis]]] = {}
        self._names: dict[int, str] = {}
        self.norms: list[Norm] = []
        self.eps = 0.0  # of the coarsest number format used

    def name(self, tensor: torch.Tensor, name: str) -> None:
        """Register a parameter or buffer."""
        self._names[id(tensor)] = name
        self.set(tensor, [fresh(n) for n in tensor.shape])

    def named(self, tensor: torch.Tensor | None) -> str:
        """Name of a parameter or buffer; empty for other tensors."""
        return "" if tensor is None else self._names.get(id(tensor), "")

    def pin_all(self, tree: Any, reason: str) -> None:
        """Pin every axis of every tensor of a structure."""
        for tensor in tensors_in(tree):
            for axis in self.axes(tensor):
                pin(axis, reason)

    def axes(self, tensor: torch.Tensor) -> list[Axis]:
        """Axes of a tensor; an unknown one is a constant, whose order may matter."""
        if id(tensor) not in self._known:
            self.set(tensor, [fresh(n, _CONSTANT) for n in tensor.shape])
        return self._known[id(tensor)][1]

    def set(self, tensor: torch.Tensor, axes: list[Axis]) -> None:
        """Set the axes of a tensor."""
        self._known[id(tensor)] = (tensor, axes)

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor is known."""
        return id(tensor) in self._known

    def refuse(self, call: Call, reason: str) -> None:
        """Pin all inputs and outputs of an operation."""
        self.pin_all(call.operands, reason)
        for result in call.results:
            if not self.knows(result):
                self.set(result, [fresh(n, reason) for n in result.shape])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and tie the axes of its inputs and outputs."""
        out = func(*args, **(kwargs or {}))
        names = [argument.name for argument in func._schema.arguments]
        arguments = dict(zip(names, args, strict=False)) | dict(kwargs or {})
        operands, results = tensors_in(arguments), tensors_in(out)
        self.eps = max([self.eps, *(torch.finfo(r.dtype).eps for r in results if r.is_floating_point())])
        name = func.overloadpacket.__name__
        call = Call(name, torch.Tag.pointwise in func.tags, arguments, operands, results)
        rule = self._rules.get(name.removesuffix("_") if name not in self._rules else name)
        if func.namespace != "aten":
            rule = None
        elif rule is None and call.pointwise:
            rule = self._pointwise
        if rule is not None:
            rule(self, call)
        elif operands:
            self.refuse(call, f"{name} is not understood")
        else:  # a table, or random numbers: their order may matter
            self.refuse(call, _CONSTANT)
        return out
