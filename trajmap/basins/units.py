"""The hidden units of a network that may be permuted without changing its function.

The forward pass is run once and traced through every operation, so skips, gates, repeated layers and heads are found as
they are used. Then each group is tested: if a network with permuted units gives different outputs, the group is
omitted, and listed.
"""

import contextlib
import dataclasses
import warnings
from collections.abc import Collection, Generator
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from trajmap.basins.unit_candidates import Way, candidates
from trajmap.basins.unit_check import UnitCheck
from trajmap.basins.unit_group import FrozenNorm, UnitGroup, UnitGroups
from trajmap.basins.unit_inputs import Forward, forwards_of_batch, made_up_forwards, tensors_in
from trajmap.basins.unit_trace import Norm
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective
from trajmap.objective.twin import private_copy

__all__ = ["unit_groups"]

# treatment of the statistics of a normalisation when its units move
_KEPT, _ANEW, _MOVED = "kept", "recomputed", "moved"


def unit_groups(model: torch.nn.Module | Objective, inputs: Any = None, *, move_buffers: bool = False) -> UnitGroups:
    """Find the hidden units of a network by tracing one forward pass, and verify each group on the network's outputs.

    Parameters
    ----------
    model : torch.nn.Module or Objective
        The network; it is not changed. For an objective, the first batch gives the inputs.
    inputs : tensor, tuple, dict, optional
        Inputs of the network; few samples are enough. By default they are generated to fit its first layer.
    move_buffers : bool
        Whether buffers move with their units, by `permute_buffers`, for networks with their own statistics. Otherwise
        they do not move, and BatchNorm's weight and bias compensate, so that a point of an objective with fixed
        statistics stays the same function. An objective that recomputes statistics needs neither.

    Returns
    -------
    UnitGroups
        One group per set of units that are permuted together: hidden units, channels, a residual stream, heads, the
        places in a head. Empty, with the reason, if the network cannot be traced.

    Notes
    -----
    For units in equal blocks (heads, groups of a normalisation), the blocks are one group, and the units of each block
    another. Concatenated or sliced axes are not permuted.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    >>> unit_groups(model)
    [UnitGroup(size=5, axes=(('0.weight', 0), ('0.bias', 0), ('2.weight', 1)))]
    """
    statistics = _MOVED if move_buffers else _KEPT
    if isinstance(model, Objective):
        if model.parts.re_estimates and not move_buffers:
            statistics = _ANEW
        batch = model.parts.batches[0] if inputs is None else inputs
        return _groups(model.model, batch, set(model.layout.names), statistics)
    named = dict(model.named_parameters())
    movable = {name for name, parameter in named.items() if parameter.requires_grad} or set(named)
    return _groups(model, inputs, movable, statistics)


def _groups(model: torch.nn.Module, inputs: Any, movable: Collection[str], statistics: str) -> UnitGroups:
    with isolated_rng(), torch.no_grad(), _attention_as_products(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _running(model, inputs)
        if found is None:
            where = "generated for it" if inputs is None else "given"
            said = f"all units: the network could not be run on the inputs {where}; repair: pass inputs= that it takes"
            return UnitGroups((), (said,))
        network, forward = found
        ways, trace, left_out = candidates(network, forward)
        statistics_of = {name: norm for norm in trace.norms for name in (norm.mean, norm.variance)}
        values = {name: b.detach().double().cpu().numpy().copy() for name, b in network.named_buffers()}
        check, kept = UnitCheck(network, forward, trace.eps), list[UnitGroup]()
        check.shake({name for way in ways for group in way[-1] for name, *_ in group.buffers})
        for way in ways:
            complaint = _unmovable(way[-1], movable, statistics_of, statistics)
            verified = None if complaint else next((found for found in way if not check.complaint(found)), None)
            if verified is None:
                group = way[-1][0]
                left_out.append(f"{group.size} units of {group.axes[0][0]}: {complaint or check.complaint(way[-1])}")
            else:
                kept += [_with_statistics(group, statistics_of, values, statistics) for group in verified]
    return UnitGroups(tuple(kept), tuple(left_out))


def _with_statistics(
    group: UnitGroup, norms: dict[str, Norm], values: dict[str, np.ndarray], statistics: str
) -> UnitGroup:
    if statistics == _MOVED:
        return group
    chosen = {norms[name].mean: norms[name] for name, *_ in group.buffers if statistics == _KEPT}
    return dataclasses.replace(group, buffers=(), norms=tuple(_frozen(norm, values) for norm in chosen.values()))


def _running(model: torch.nn.Module, inputs: Any) -> tuple[torch.nn.Module, Forward] | None:
    """Copy the network, in double precision if possible, with a way to run it."""
    for dtype in (torch.float64, None):
        network = private_copy(model, dtype, None)
        if next(network.parameters(), None) is None:
            return None
        for given in made_up_forwards(network) if inputs is None else forwards_of_batch(inputs):
            try:
                forward = given.fitted(network)
                out = forward.fitted(network)(network)
            except Exception:  # the user's code may raise anything
                continue
            numbers = [tensor for tensor in tensors_in(out) if tensor.is_floating_point()]
            if numbers and all(bool(t.isfinite().all()) for t in numbers):
                return network, forward
    return None


@contextlib.contextmanager
def _attention_as_products() -> Generator[None, None, None]:
    """Run attention as separate products and sums, not as one operation."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fast)


def _unmovable(groups: Way, movable: Collection[str], norms: dict[str, Norm], statistics: str) -> str:
    """Return the reason why some groups cannot be moved."""
    for name in (name for group in groups for name, *_ in group.axes):
        if name not in movable:
            return f"{name} is not among the parameters of θ"
    for name in (name for group in groups for name, *_ in group.buffers if statistics != _MOVED):
        norm = norms.get(name)
        if norm is None:
            return f"the buffer {name} would have to move with them"
        if statistics == _KEPT and not {norm.weight, norm.bias} <= set(movable):
            return f"the buffer {name} would have to move with them, for its layer has no weight and bias in θ"
    return ""


def _frozen(norm: Norm, buffers: dict[str, np.ndarray]) -> FrozenNorm:
    scale = np.sqrt(buffers[norm.variance] + norm.eps)
    return FrozenNorm(norm.weight, norm.bias, norm.mean, norm.variance, norm.eps, buffers[norm.mean], scale)
