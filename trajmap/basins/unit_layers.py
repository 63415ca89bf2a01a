"""How products, convolutions, normalisations, attention and pooling tie the axes of their inputs and outputs."""

import re
from collections.abc import Callable

from trajmap.basins.unit_axes import NATURAL, fresh, pin, tie
from trajmap.basins.unit_shapes import broadcast, first
from trajmap.basins.unit_trace import AxisTrace, Call, Norm, Rule

__all__ = [
    "attended",
    "convolved",
    "embedded",
    "gated",
    "layer_normed",
    "per_channel",
    "pooled",
    "product",
]


def gated(trace: AxisTrace, call: Call) -> None:
    """Multiply one half of an axis by a function of the other: both hold the same units."""
    tensor, axes = first(trace, call)
    place = int(call.arguments.get("dim", -1)) % tensor.ndim
    inner = fresh(call.out.shape[place])
    tie(axes[place], [*fresh(2, NATURAL), *inner], "glu uses single places of it")
    axes[place] = inner
    trace.set(call.out, axes)


def product(*names: str) -> Rule:
    """Make the rule of a matrix product of two of the arguments, plus the other one."""

    def rule(trace: AxisTrace, call: Call) -> None:
        left, right = (trace.axes(call.arguments[name]) for name in names)
        tie(left[-1], right[max(len(right) - 2, 0)], "a product has parts that do not fit")
        for a, b in zip(left[:-2], right[:-2], strict=False):
            tie(a, b, "a product has parts that do not fit")
        found = left[:-1] + right[-1:] if len(right) > 1 else left[:-1]
        for added in (tensor for key, tensor in call.arguments.items() if key in {"self", "input"} - {*names}):
            for a, b in zip(reversed(found), reversed(trace.axes(added)), strict=False):
                if a and b:
                    tie(a, b, "a product has parts that do not fit")
        if not trace.knows(call.out):
            trace.set(call.out, found)

    return rule


def convolved(trace: AxisTrace, call: Call) -> None:
    """Channels are tied to the weight's, by groups; places are pinned."""
    x, weight, bias = call.arguments["input"], call.arguments["weight"], call.arguments.get("bias")
    groups, turned = int(call.arguments.get("groups", 1)), bool(call.arguments.get("transposed", False))
    axes, held, reason = trace.axes(x), trace.axes(weight), "a convolution has parts that do not fit"
    for axis in [*axes[2:], *held[2:]]:
        pin(axis, NATURAL)
    outer = fresh(groups)
    if turned:
        tie(held[0], axes[1], reason)
        tie(axes[1], [*outer, *fresh(x.shape[1] // groups)], reason)
        made = [*outer, *held[1]]
    else:
        tie(axes[1], [*outer, *held[1]], reason)
        tie(held[0], [*outer, *fresh(weight.shape[0] // groups)], reason)
        made = held[0]
    if bias is not None:
        tie(trace.axes(bias)[0], made, reason)
    trace.set(call.out, [axes[0], made, *(fresh(n, NATURAL) for n in call.out.shape[2:])])


def per_channel(groups: Callable[[Call], int]) -> Rule:
    """Normalisation: its tensors with one entry per channel are tied to the channels."""

    def rule(trace: AxisTrace, call: Call) -> None:
        axes, given = list(trace.axes(call.arguments["input"])), call.arguments
        outer = groups(call)
        if outer > 1:
            inner = fresh(call.arguments["input"].shape[1] // outer)
            tie(axes[1], [*fresh(outer), *inner], "the groups of a normalisation do not fit")
        held = [given.get(name) for name in ("weight", "bias", "running_mean", "running_var")]
        for tensor in held:
            if tensor is not None:
                tie(axes[1], trace.axes(tensor)[0], "a normalisation has parts that do not fit")
        if trace.named(held[2]) and not given.get("training", False):
            eps = float(given.get("eps", given.get("epsilon", 0.0)))
            weight, bias, mean, variance = map(trace.named, held)
            trace.norms.append(Norm(weight, bias, mean, variance, eps))
        trace.set(call.out, axes)

    return rule


def layer_normed(trace: AxisTrace, call: Call) -> None:
    """Normalise over the last axes: weight and bias are tied to them."""
    tensors = [call.arguments[name] for name in ("input", "weight", "bias") if call.arguments.get(name) is not None]
    trace.set(call.out, broadcast(trace, call.name, tensors, call.out.shape))


def embedded(trace: AxisTrace, call: Call) -> None:
    """Look rows up: their order is pinned, their entries are units."""
    weight = trace.axes(call.arguments["weight"])
    pin(weight[0], NATURAL)
    trace.set(call.out, [*trace.axes(call.arguments["indices"]), weight[1]])


def attended(trace: AxisTrace, call: Call) -> None:
    """Softmax of QKᵀ, times V: queries and keys share the summed axis, keys and values their places."""
    q, k, v = (trace.axes(call.arguments[name]) for name in ("query", "key", "value"))
    reason = "attention has parts that do not fit"
    for i in range(len(q) - 2):
        tie(q[i], k[i], reason)
        tie(q[i], v[i], reason)
    tie(q[-1], k[-1], reason)
    tie(k[-2], v[-2], reason)
    for axis in (q[-2], k[-2]):
        pin(axis, NATURAL)
    mask = call.arguments.get("attn_mask", call.arguments.get("attn_bias"))
    if mask is not None:
        for axis, other in zip([*q[:-1], k[-2]][::-1], trace.axes(mask)[::-1], strict=False):
            if axis and other:
                tie(axis, other, reason)
    trace.set(call.out, [*q[:-1], v[-1]])


def pooled(trace: AxisTrace, call: Call) -> None:
    """Pooling, padding and resizing of images: places are pinned, channels pass."""
    tensor, axes = first(trace, call)
    found = re.search(r"(\d)d", call.name)
    padded = len(call.arguments.get("pad", ())) // 2
    ndim = int(found.group(1)) if found and not call.name.startswith("constant") else padded
    keep = tensor.ndim - ndim
    for axis in axes[keep:]:
        pin(axis, f"{call.name} depends on its order" if padded else NATURAL)
    for out in call.results:
        trace.set(out, axes[:keep] + [fresh(n, NATURAL) for n in out.shape[keep:]])
