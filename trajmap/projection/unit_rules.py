"""How each operation ties the axes of what it takes to those of what it gives."""

import math
import re
from collections.abc import Callable, Iterable, Sequence

import torch

from trajmap.projection.unit_axes import NATURAL, TAKEN, Axis, cut, fresh, pin, tie
from trajmap.projection.unit_trace import AxisTrace, Call, Norm, Rule

__all__ = ["RULES", "pointwise"]


def pointwise(trace: AxisTrace, call: Call) -> None:
    """Entry by entry: axes are tied from the last one, those of one index are stretched."""
    for out in call.results:
        found = _broadcast(trace, call.name, call.operands, out.shape)
        if not trace.knows(out):
            trace.set(out, found)


def _broadcast(trace: AxisTrace, name: str, operands: Iterable[torch.Tensor], shape: Sequence[int]) -> list[Axis]:
    found: list[Axis | None] = [None] * len(shape)
    for tensor in operands:
        for place, axis in enumerate(reversed(trace.axes(tensor)), start=1):
            if place > len(shape) or tensor.shape[-place] != shape[-place]:
                continue
            held = found[-place]
            if held is None:
                found[-place] = axis
            else:
                tie(held, axis, f"{name} meets parts that do not fit")
    return [fresh(n) if axis is None else axis for axis, n in zip(found, shape, strict=True)]


def _places(call: Call, ndim: int, name: str = "dim") -> list[int]:
    """Axes an operation is told to work along, from zero; all where it is told none."""
    dim = call.arguments.get(name)
    dims = [dim] if isinstance(dim, int) else list(dim or range(ndim))
    return [d % ndim for d in dims] if ndim else []


def _place(call: Call, ndim: int, name: str = "dim") -> int:
    return int(call.arguments.get(name, 0)) % max(ndim, 1)


def _first(trace: AxisTrace, call: Call) -> tuple[torch.Tensor, list[Axis]]:
    return call.operands[0], list(trace.axes(call.operands[0]))


def _filled(trace: AxisTrace, call: Call) -> None:
    """One number everywhere: any order is the same."""
    for out in call.results:
        if not trace.knows(out):
            trace.set(out, [fresh(n) for n in out.shape])


def _reduced(trace: AxisTrace, call: Call) -> None:
    """Drop axes: sums, means and the like do not see an order."""
    tensor, axes = _first(trace, call)
    gone = _places(call, tensor.ndim)
    keep = bool(call.arguments.get("keepdim", False))
    kept = [[] if i in gone else axis for i, axis in enumerate(axes) if keep or i not in gone]
    for out in call.results:
        if out.ndim != len(kept):
            trace.refuse(call, f"{call.name} is not understood")
        elif not trace.knows(out):
            trace.set(out, kept)


def _ordered(trace: AxisTrace, call: Call) -> None:
    """Operations that see the order along their axes, and keep the others."""
    tensor, axes = _first(trace, call)
    for place in _places(call, tensor.ndim, "dims" if "dims" in call.arguments else "dim"):
        pin(axes[place], f"{call.name} sees its order")
    for out in call.results:
        sizes = zip(axes, tensor.shape, out.shape, strict=True)
        trace.set(out, [axis if n == m else fresh(m, NATURAL) for axis, n, m in sizes])


def _extreme(trace: AxisTrace, call: Call) -> None:
    """Maxima and minima; where they are is seen too."""
    if len(call.results) > 1 or call.name.startswith("arg"):
        tensor, axes = _first(trace, call)
        for place in _places(call, tensor.ndim):
            pin(axes[place], f"{call.name} says at which place")
    if len(call.operands) > 1:
        pointwise(trace, call)
    else:
        _reduced(trace, call)


def _viewed(trace: AxisTrace, call: Call) -> None:
    tensor, axes = _first(trace, call)
    row = [atom for axis in axes for atom in axis]
    found = cut(row, call.out.shape) if math.prod(call.out.shape) == math.prod(tensor.shape) else None
    if found is None:
        trace.refuse(call, f"{call.name} mixes its parts")
    elif not trace.knows(call.out):
        trace.set(call.out, found)


def _turned(trace: AxisTrace, call: Call) -> None:
    tensor, axes = _first(trace, call)
    order = list(range(tensor.ndim))
    if call.name == "permute":
        order = _places(call, tensor.ndim, "dims")
    elif call.name == "transpose":
        i, j = (_place(call, tensor.ndim, name) for name in ("dim0", "dim1"))
        order[i], order[j] = order[j], order[i]
    else:
        order.reverse()
    trace.set(call.out, [axes[i] for i in order])


def _expanded(trace: AxisTrace, call: Call) -> None:
    """Axes are stretched, or new ones put before: copies of one thing may come in any order."""
    trace.set(call.out, _broadcast(trace, call.name, call.operands[:1], call.out.shape))


def _repeated(trace: AxisTrace, call: Call) -> None:
    _, axes = _first(trace, call)
    axes = [[]] * (call.out.ndim - len(axes)) + axes
    times = call.arguments["repeats"]
    trace.set(call.out, [[*fresh(n), *axis] for n, axis in zip(times, axes, strict=True)])


def _joined(trace: AxisTrace, call: Call) -> None:
    """Concatenation: what is joined stays as it is, the other axes are one."""
    tensors = [tensor for tensor in call.operands if tensor.ndim == call.out.ndim]
    place = _place(call, call.out.ndim)
    found = [*trace.axes(tensors[0])]
    for tensor in tensors:
        for i, axis in enumerate(trace.axes(tensor)):
            if i == place:
                pin(axis, f"it is concatenated by {call.name}")
            else:
                tie(found[i], axis, f"{call.name} meets parts that do not fit")
    found[place] = fresh(call.out.shape[place], NATURAL)
    trace.set(call.out, found)


def _stacked(trace: AxisTrace, call: Call) -> None:
    found = _broadcast(trace, call.name, call.operands, call.operands[0].shape)
    found.insert(_place(call, call.out.ndim), fresh(len(call.operands), NATURAL))
    trace.set(call.out, found)


def _selected(trace: AxisTrace, call: Call) -> None:
    """One index of an axis, or each by itself: that axis is gone, and stays as it is."""
    tensor, axes = _first(trace, call)
    pin(axes.pop(_place(call, tensor.ndim)), TAKEN)
    for out in call.results:
        trace.set(out, axes)


def _sliced(trace: AxisTrace, call: Call) -> None:
    tensor, axes = _first(trace, call)
    place = _place(call, tensor.ndim)
    if call.out.shape[place] != tensor.shape[place]:
        pin(axes[place], f"{call.name} takes places of it")
        axes[place] = fresh(call.out.shape[place], NATURAL)
    trace.set(call.out, axes)


def _split(trace: AxisTrace, call: Call) -> None:
    """Equal parts, as queries, keys and values of one layer, hold the same units each; others stay as they are."""
    tensor, axes = _first(trace, call)
    place = _place(call, tensor.ndim)
    sizes = {out.shape[place] for out in call.results}
    inner = fresh(min(sizes))
    if len(sizes) == 1:
        tie(axes[place], [*fresh(len(call.results), NATURAL), *inner], f"{call.name} takes places of it")
    else:
        pin(axes[place], f"{call.name} takes places of it")
    for out in call.results:
        axes[place] = inner if len(sizes) == 1 else fresh(out.shape[place], NATURAL)
        trace.set(out, list(axes))


def _gated(trace: AxisTrace, call: Call) -> None:
    tensor, axes = _first(trace, call)
    place = int(call.arguments.get("dim", -1)) % tensor.ndim
    inner = fresh(call.out.shape[place])
    tie(axes[place], [*fresh(2, NATURAL), *inner], "glu takes places of it")
    axes[place] = inner
    trace.set(call.out, axes)


def _product(*names: str) -> Rule:
    """Make the rule of a matrix product of two of the arguments, plus the other one."""

    def rule(trace: AxisTrace, call: Call) -> None:
        left, right = (trace.axes(call.arguments[name]) for name in names)
        tie(left[-1], right[max(len(right) - 2, 0)], "a product meets parts that do not fit")
        for a, b in zip(left[:-2], right[:-2], strict=False):
            tie(a, b, "a product meets parts that do not fit")
        found = left[:-1] + right[-1:] if len(right) > 1 else left[:-1]
        for added in (tensor for key, tensor in call.arguments.items() if key in {"self", "input"} - {*names}):
            for a, b in zip(reversed(found), reversed(trace.axes(added)), strict=False):
                if a and b:
                    tie(a, b, "a product meets parts that do not fit")
        if not trace.knows(call.out):
            trace.set(call.out, found)

    return rule


def _convolved(trace: AxisTrace, call: Call) -> None:
    """Channels are tied to the weight's, by groups; places stay as they are."""
    x, weight, bias = call.arguments["input"], call.arguments["weight"], call.arguments.get("bias")
    groups, turned = int(call.arguments.get("groups", 1)), bool(call.arguments.get("transposed", False))
    axes, held, reason = trace.axes(x), trace.axes(weight), "a convolution meets parts that do not fit"
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


def _per_channel(groups: Callable[[Call], int]) -> Rule:
    """Normalisation: whatever it has for each channel is tied to the channels."""

    def rule(trace: AxisTrace, call: Call) -> None:
        axes, given = list(trace.axes(call.arguments["input"])), call.arguments
        outer = groups(call)
        if outer > 1:
            inner = fresh(call.arguments["input"].shape[1] // outer)
            tie(axes[1], [*fresh(outer), *inner], "the groups of a normalisation do not fit")
        held = [given.get(name) for name in ("weight", "bias", "running_mean", "running_var")]
        for tensor in held:
            if tensor is not None:
                tie(axes[1], trace.axes(tensor)[0], "a normalisation meets parts that do not fit")
        if trace.named(held[2]) and not given.get("training", False):
            eps = float(given.get("eps", given.get("epsilon", 0.0)))
            weight, bias, mean, variance = map(trace.named, held)
            trace.norms.append(Norm(weight, bias, mean, variance, eps))
        trace.set(call.out, axes)

    return rule


def _layer_normed(trace: AxisTrace, call: Call) -> None:
    tensors = [call.arguments[name] for name in ("input", "weight", "bias") if call.arguments.get(name) is not None]
    trace.set(call.out, _broadcast(trace, call.name, tensors, call.out.shape))


def _weight_normed(trace: AxisTrace, call: Call) -> None:
    trace.set(call.out, _broadcast(trace, call.name, call.operands, call.out.shape))


def _embedded(trace: AxisTrace, call: Call) -> None:
    weight = trace.axes(call.arguments["weight"])
    pin(weight[0], NATURAL)
    trace.set(call.out, [*trace.axes(call.arguments["indices"]), weight[1]])


def _attended(trace: AxisTrace, call: Call) -> None:
    """Softmax of QKᵀ, times V: queries and keys share what is summed, keys and values their places."""
    q, k, v = (trace.axes(call.arguments[name]) for name in ("query", "key", "value"))
    reason = "attention meets parts that do not fit"
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


def _pooled(trace: AxisTrace, call: Call) -> None:
    """Pooling, padding and stretching of images: places stay as they are, channels pass."""
    tensor, axes = _first(trace, call)
    found = re.search(r"(\d)d", call.name)
    padded = len(call.arguments.get("pad", ())) // 2
    ndim = int(found.group(1)) if found and not call.name.startswith("constant") else padded
    keep = tensor.ndim - ndim
    for axis in axes[keep:]:
        pin(axis, f"{call.name} sees its order" if padded else NATURAL)
    for out in call.results:
        trace.set(out, axes[:keep] + [fresh(n, NATURAL) for n in out.shape[keep:]])


def _table() -> dict[str, Rule]:
    by_rule: dict[Rule, str] = {
        pointwise: "clone detach alias _to_copy to lift_fresh contiguous copy_ _prelu_kernel _softmax _log_softmax "
        "_safe_softmax softmax log_softmax masked_fill dropout",
        _filled: "zeros ones full empty zeros_like ones_like full_like empty_like new_zeros new_ones new_full "
        "new_empty scalar_tensor fill_ zero_ empty_strided new_empty_strided",
        _reduced: "sum mean var std amax amin logsumexp linalg_vector_norm norm var_mean std_mean prod any all",
        _extreme: "max min argmax argmin",
        _ordered: "flip roll cumsum cumprod sort topk tril triu",
        _viewed: "view _unsafe_view reshape flatten unflatten unsqueeze squeeze _reshape_alias",
        _turned: "permute transpose t",
        _expanded: "expand",
        _repeated: "repeat",
        _joined: "cat",
        _stacked: "stack",
        _selected: "select unbind",
        _sliced: "slice narrow",
        _split: "split unsafe_split chunk unsafe_chunk split_with_sizes",
        _gated: "glu",
        _product("self", "mat2"): "mm bmm",
        _product("mat1", "mat2"): "addmm",
        _product("batch1", "batch2"): "baddbmm",
        _product("self", "vec"): "mv",
        _product("mat", "vec"): "addmv",
        _product("self", "tensor"): "dot",
        _product("self", "other"): "vdot",
        _convolved: "convolution",
        _per_channel(lambda call: 1): "native_batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm "
        "_native_batch_norm_legit miopen_batch_norm",
        _per_channel(lambda call: int(call.arguments["group"])): "native_group_norm",
        _layer_normed: "native_layer_norm _fused_rms_norm",
        _weight_normed: "_weight_norm_interface",
        _embedded: "embedding",
        _attended: "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
        "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
        "_scaled_dot_product_attention_math",
        _pooled: "max_pool1d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d "
        "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d upsample_nearest1d "
        "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d _upsample_nearest_exact2d reflection_pad1d "
        "reflection_pad2d replication_pad1d replication_pad2d constant_pad_nd",
    }
    return {name: rule for rule, names in by_rule.items() for name in names.split()}


RULES = _table()
