"""Which hidden units of a network may be permuted without changing what it computes.

The forward is run once and followed through every operation, so skips, gates, layers used twice and heads are found
as they are used. Then each group is put to the test: a network whose units are permuted must give the same outputs, or
the group is left out, and named.
"""

import contextlib
import dataclasses
import warnings
from collections.abc import Collection, Generator
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from trajmap.objective.isolation import isolated_rng
from trajmap.objective.model_at import private_copy
from trajmap.objective.objective import Objective
from trajmap.projection.unit_axes import NATURAL, TAKEN, Atom, fresh, leaves
from trajmap.projection.unit_check import UnitCheck
from trajmap.projection.unit_group import FrozenNorm, UnitAxis, UnitGroup, UnitGroups
from trajmap.projection.unit_inputs import Forward, forwards_of_batch, made_up_forwards, tensors_in
from trajmap.projection.unit_rules import RULES, pointwise
from trajmap.projection.unit_trace import AxisTrace, Norm

__all__ = ["unit_groups"]

# what happens to the statistics of a normalisation when its units move
_KEPT, _ANEW, _MOVED = "kept", "computed anew", "moved"


def unit_groups(model: torch.nn.Module | Objective, inputs: Any = None, *, move_buffers: bool = False) -> UnitGroups:
    """Find the hidden units of a network, by following one forward, and verify each group on the network's outputs.

    Parameters
    ----------
    model : torch.nn.Module or Objective
        The network; it is not changed. Of an objective the first batch gives the inputs.
    inputs : tensor, tuple, dict, optional
        What the network takes: few samples are enough. Without them some are made up to fit its first layer.
    move_buffers : bool
        Buffers move with their units, by `permute_buffers`: for networks that have statistics of their own. Otherwise
        they stay where they are, and BatchNorm's weight and bias take up the difference, so that a point of an
        objective with frozen statistics stays the same function. An objective that computes statistics anew needs
        neither.

    Returns
    -------
    UnitGroups
        One a set of units that are permuted together: hidden units, channels, a residual stream, heads, the places in
        all heads. Empty, with the reason, where the network cannot be followed.

    Notes
    -----
    Of units in equal blocks (heads, groups of a normalisation) those found are the blocks, and the places within them,
    the same in each: a part of all that leaves the function as it is. What is concatenated or cut stays as it is.

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
            repair = "; repair: pass inputs=" if inputs is None else ""
            where = "made up for it" if inputs is None else "given"
            return UnitGroups((), (f"all units: the network could not be run on the inputs {where}{repair}",))
        network, forward = found
        groups, norms, left_out = _followed(network, forward)
        check, kept = UnitCheck(network, forward), []
        statistics_of = {norm.mean: norm for norm in norms} | {norm.variance: norm for norm in norms}
        values = {name: b.detach().double().cpu().numpy().copy() for name, b in network.named_buffers()}
        check.shake(groups)
        for group in groups:
            complaint = _unmovable(group, movable, statistics_of, statistics) or check.complaint(group)
            if complaint:
                left_out.append(f"{group.size} units of {group.axes[0][0]}: {complaint}")
            elif statistics == _KEPT:
                chosen = {statistics_of[name] for name, *_ in group.buffers}
                frozen = tuple(_frozen(norm, values) for norm in sorted(chosen, key=lambda norm: norm.mean))
                kept.append(dataclasses.replace(group, buffers=(), norms=frozen))
            else:
                kept.append(group if statistics == _MOVED else dataclasses.replace(group, buffers=()))
    return UnitGroups(tuple(kept), tuple(left_out))


def _running(model: torch.nn.Module, inputs: Any) -> tuple[torch.nn.Module, Forward] | None:
    """Copy the network, in double precision where it can be, and a way to run it."""
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
    """Run attention as the products and sums it is made of, not as one operation."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fast)


def _followed(network: torch.nn.Module, forward: Forward) -> tuple[list[UnitGroup], list[Norm], list[str]]:
    """Run the network and read which axes of its parameters were found to be one."""
    trace = AxisTrace(RULES, pointwise)
    parameters, buffers = dict(network.named_parameters()), dict(network.named_buffers())
    for name, tensor in chain(parameters.items(), buffers.items()):
        trace.name(tensor, name)
    given = forward.fitted(network)
    for tensor in tensors_in((given.args, given.kwargs)):
        trace.set(tensor, [fresh(n, NATURAL) for n in tensor.shape])
    with trace:
        out = given(network)
    trace.pin_all(out, NATURAL)
    groups, left_out = [], []
    held, moved = _held(trace, parameters), _held(trace, buffers)
    for atom, axes in held.items():
        if not atom.reasons:
            groups.append(UnitGroup(atom.size, tuple(axes), tuple(moved.get(atom, ()))))
        elif NATURAL not in atom.reasons and not (atom.reasons == {TAKEN} and _packed(atom, axes, parameters)):
            left_out.append(f"{atom.size} units of {axes[0][0]}: {', '.join(sorted(atom.reasons))}")
    return groups, trace.norms, left_out


def _held(trace: AxisTrace, tensors: dict[str, Any]) -> dict[Atom, list[UnitAxis]]:
    """Where each atom lies in named tensors."""
    found: dict[Atom, list[UnitAxis]] = {}
    for name, tensor in tensors.items():
        for place, axis in enumerate(trace.axes(tensor)):
            times = 1
            for atom in leaves(axis):
                found.setdefault(atom, []).append((name, place) if times == 1 else (name, place, times))
                times *= atom.size
    return found


def _packed(atom: Atom, axes: list[UnitAxis], parameters: dict[str, torch.nn.Parameter]) -> bool:
    """Whether it says which of several things that are packed in one parameter, as queries, keys and values."""
    return all(parameters[name].shape[place] > atom.size for name, place, *_ in axes)


def _unmovable(group: UnitGroup, movable: Collection[str], norms: dict[str, Norm], statistics: str) -> str:
    """Say what of a group cannot be moved."""
    for name, *_ in group.axes:
        if name not in movable:
            return f"{name} is not among the parameters of θ"
    for name, *_ in group.buffers if statistics != _MOVED else ():
        norm = norms.get(name)
        if norm is None:
            return f"the buffer {name} would have to move with them"
        if statistics == _KEPT and not {norm.weight, norm.bias} <= set(movable):
            return f"the buffer {name} would have to move with them, for its layer has no weight and bias in θ"
    return ""


def _frozen(norm: Norm, buffers: dict[str, np.ndarray]) -> FrozenNorm:
    scale = np.sqrt(buffers[norm.variance] + norm.eps)
    return FrozenNorm(norm.weight, norm.bias, norm.mean, norm.variance, norm.eps, buffers[norm.mean], scale)
