"""How operations that only move, expand, sum or join numbers tie the axes of inputs and outputs."""

import math
from collections.abc import Iterable, Sequence

import torch

from trajmap.basins.unit_axes import NATURAL, TAKEN, Axis, cut, fresh, pin, tie
from trajmap.basins.unit_trace import AxisTrace, Call

__all__ = [
    "broadcast",
    "expanded",
    "extreme",
    "filled",
    "first",
    "joined",
    "ordered",
    "pointwise",
    "reduced",
    "repeated",
    "selected",
    "sliced",
    "split",
    "stacked",
    "turned",
    "viewed",
]


def pointwise(trace: AxisTrace, call: Call) -> None:
    """Entry by entry: axes are tied from the last one, and axes of one index are expanded."""
    for out in call.results:
        found = broadcast(trace, call.name, call.operands, out.shape)
        if not trace.knows(out):
            trace.set(out, found)


def broadcast(trace: AxisTrace, name: str, operands: Iterable[torch.Tensor], shape: Sequence[int]) -> list[Axis]:
    """Tie axes from the last one; axes of one index are expanded."""
    found: list[Axis | None] = [None] * len(shape)
    for tensor in operands:
        for place, axis in enumerate(reversed(trace.axes(tensor)), start=1):
            if place > len(shape) or tensor.shape[-place] != shape[-place]:
                continue
            held = found[-place]
            if held is None:
                found[-place] = axis
            else:
                tie(held, axis, f"{name} has parts that do not fit")
    return [fresh(n) if axis is None else axis for axis, n in zip(found, shape, strict=True)]


def _places(call: Call, ndim: int, name: str = "dim") -> list[int]:
    """Axes along which an operation works, from zero; all if none is given."""
    dim = call.arguments.get(name)
    dims = [dim] if isinstance(dim, int) else list(dim or range(ndim))
    return [d % ndim for d in dims] if ndim else []


def _place(call: Call, ndim: int, name: str = "dim") -> int:
    return int(call.arguments.get(name, 0)) % max(ndim, 1)


def first(trace: AxisTrace, call: Call) -> tuple[torch.Tensor, list[Axis]]:
    """Return the first operand and its axes."""
    return call.operands[0], list(trace.axes(call.operands[0]))


def filled(trace: AxisTrace, call: Call) -> None:
    """One constant everywhere: every order is equal."""
    for out in call.results:
        if not trace.knows(out):
            trace.set(out, [fresh(n) for n in out.shape])


def reduced(trace: AxisTrace, call: Call) -> None:
    """Drop axes: sums, means and similar operations do not depend on an order."""
    tensor, axes = first(trace, call)
    gone = _places(call, tensor.ndim)
    keep = bool(call.arguments.get("keepdim", False))
    kept = [[] if i in gone else axis for i, axis in enumerate(axes) if keep or i not in gone]
    for out in call.results:
        if out.ndim != len(kept):
            trace.refuse(call, f"{call.name} is not understood")
        elif not trace.knows(out):
            trace.set(out, kept)


def ordered(trace: AxisTrace, call: Call) -> None:
    """Operations that depend on the order along their axes, and keep the others."""
    tensor, axes = first(trace, call)
    for place in _places(call, tensor.ndim, "dims" if "dims" in call.arguments else "dim"):
        pin(axes[place], f"{call.name} depends on its order")
    for out in call.results:
        sizes = zip(axes, tensor.shape, out.shape, strict=True)
        trace.set(out, [axis if n == m else fresh(m, NATURAL) for axis, n, m in sizes])


def extreme(trace: AxisTrace, call: Call) -> None:
    """Maxima and minima, whose positions may be used too."""
    if len(call.results) > 1 or call.name.startswith("arg"):
        tensor, axes = first(trace, call)
        for place in _places(call, tensor.ndim):
            pin(axes[place], f"{call.name} returns places of it")
    if len(call.operands) > 1:
        pointwise(trace, call)
    else:
        reduced(trace, call)


def viewed(trace: AxisTrace, call: Call) -> None:
    """Split the same numbers into other axes."""
    tensor, axes = first(trace, call)
    row = [atom for axis in axes for atom in axis]
    found = cut(row, call.out.shape) if math.prod(call.out.shape) == math.prod(tensor.shape) else None
    if found is None:
        trace.refuse(call, f"{call.name} mixes its parts")
    elif not trace.knows(call.out):
        trace.set(call.out, found)


def turned(trace: AxisTrace, call: Call) -> None:
    """Put axes in another order."""
    tensor, axes = first(trace, call)
    order = list(range(tensor.ndim))
    if call.name == "permute":
        order = _places(call, tensor.ndim, "dims")
    elif call.name == "transpose":
        i, j = (_place(call, tensor.ndim, name) for name in ("dim0", "dim1"))
        order[i], order[j] = order[j], order[i]
    else:
        order.reverse()
    trace.set(call.out, [axes[i] for i in order])


def expanded(trace: AxisTrace, call: Call) -> None:
    """Axes are expanded, or new ones are added in front: copies may have any order."""
    trace.set(call.out, broadcast(trace, call.name, call.operands[:1], call.out.shape))


def repeated(trace: AxisTrace, call: Call) -> None:
    """Concatenate copies."""
    _, axes = first(trace, call)
    axes = [[]] * (call.out.ndim - len(axes)) + axes
    times = call.arguments["repeats"]
    trace.set(call.out, [[*fresh(n), *axis] for n, axis in zip(times, axes, strict=True)])


def joined(trace: AxisTrace, call: Call) -> None:
    """Concatenation: the joined axis is pinned, the other axes are tied."""
    tensors = [tensor for tensor in call.operands if tensor.ndim == call.out.ndim]
    place = _place(call, call.out.ndim)
    found = [*trace.axes(tensors[0])]
    for tensor in tensors:
        for i, axis in enumerate(trace.axes(tensor)):
            if i == place:
                pin(axis, f"it is concatenated by {call.name}")
            else:
                tie(found[i], axis, f"{call.name} has parts that do not fit")
    found[place] = fresh(call.out.shape[place], NATURAL)
    trace.set(call.out, found)


def stacked(trace: AxisTrace, call: Call) -> None:
    """Stack tensors along a new axis, which is pinned."""
    found = broadcast(trace, call.name, call.operands, call.operands[0].shape)
    found.insert(_place(call, call.out.ndim), fresh(len(call.operands), NATURAL))
    trace.set(call.out, found)


def selected(trace: AxisTrace, call: Call) -> None:
    """One index of an axis, or each separately: that axis is removed and pinned."""
    tensor, axes = first(trace, call)
    pin(axes.pop(_place(call, tensor.ndim)), TAKEN)
    for out in call.results:
        trace.set(out, axes)


def sliced(trace: AxisTrace, call: Call) -> None:
    """Take a range of an axis, which is pinned."""
    tensor, axes = first(trace, call)
    place = _place(call, tensor.ndim)
    if call.out.shape[place] != tensor.shape[place]:
        pin(axes[place], f"{call.name} uses single places of it")
        axes[place] = fresh(call.out.shape[place], NATURAL)
    trace.set(call.out, axes)


def split(trace: AxisTrace, call: Call) -> None:
    """Equal parts, such as queries, keys and values of one layer, each hold the same units; others are pinned."""
    tensor, axes = first(trace, call)
    place = _place(call, tensor.ndim)
    sizes = {out.shape[place] for out in call.results}
    inner = fresh(min(sizes))
    if len(sizes) == 1:
        tie(axes[place], [*fresh(len(call.results), NATURAL), *inner], f"{call.name} uses single places of it")
    else:
        pin(axes[place], f"{call.name} uses single places of it")
    for out in call.results:
        axes[place] = inner if len(sizes) == 1 else fresh(out.shape[place], NATURAL)
        trace.set(out, list(axes))
