"""Find candidates for groups of units by tracing one forward pass of a network."""

from collections.abc import Mapping
from itertools import chain

import torch

from trajmap.basins.unit_axes import NATURAL, TAKEN, Atom, fresh, leaves
from trajmap.basins.unit_group import UnitAxis, UnitGroup
from trajmap.basins.unit_inputs import Forward, tensors_in
from trajmap.basins.unit_rules import RULES
from trajmap.basins.unit_shapes import pointwise
from trajmap.basins.unit_trace import AxisTrace

__all__ = ["Way", "candidates"]

Way = tuple[UnitGroup, ...]  # groups that are right or wrong together, such as the places in each head
_MOST_BLOCKS = (
    64  # with more blocks, the places of all blocks are permuted together: one group per block would be slow to match
)
# position of an atom: parameter, axis, number of repetitions, and the enclosing atom, if any
_Where = tuple[str, int, int, Atom | None]


def candidates(network: torch.nn.Module, forward: Forward) -> tuple[list[list[Way]], AxisTrace, list[str]]:
    """Run a network and list the units that may be permuted according to its operations.

    Parameters
    ----------
    network : torch.nn.Module
        A private copy.
    forward : Forward
        Its inputs.

    Returns
    -------
    ways : list of list of tuple of UnitGroup
        For each set of units the possible permutations, the largest set first: the units of each block separately, or
        of all blocks together.
    trace : AxisTrace
        The trace, with its ``norms`` and ``eps``.
    left_out : list of str
        Units pinned by an operation, with the reason.
    """
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
    ways, left_out = [], []
    held, moved = _held(trace, parameters), _held(trace, buffers)
    for atom, where in held.items():
        if not atom.reasons:
            ways.append(_ways(atom.size, where, moved.get(atom, [])))
        elif NATURAL not in atom.reasons and not (atom.reasons == {TAKEN} and _packed(atom, where, parameters)):
            left_out.append(f"{atom.size} units of {where[0][0]}: {', '.join(sorted(atom.reasons))}")
    return ways, trace, left_out


def _held(trace: AxisTrace, tensors: Mapping[str, torch.Tensor]) -> dict[Atom, list[_Where]]:
    """Where each atom lies in named tensors."""
    found: dict[Atom, list[_Where]] = {}
    for name, tensor in tensors.items():
        for place, axis in enumerate(trace.axes(tensor)):
            times, outer = 1, None
            for atom in leaves(axis):
                found.setdefault(atom, []).append((name, place, times, outer))
                times, outer = times * atom.size, atom
    return found


def _ways(size: int, where: list[_Where], moved: list[_Where]) -> list[Way]:
    def alike(name: str, axis: int, times: int, _: Atom | None) -> UnitAxis:
        return (name, axis) if times == 1 else (name, axis, times)

    ways: list[Way] = [(UnitGroup(size, tuple(alike(*w) for w in where), tuple(alike(*w) for w in moved)),)]
    outers = {outer for *_, outer in (*where, *moved)}
    outer = outers.pop()
    if outers or outer is None or outer.size > _MOST_BLOCKS:
        return ways

    def inside(block: int, places: list[_Where]) -> tuple[UnitAxis, ...]:
        return tuple((name, axis, times // outer.size, outer.size, block) for name, axis, times, _ in places)

    return [tuple(UnitGroup(size, inside(k, where), inside(k, moved)) for k in range(outer.size)), *ways]


def _packed(atom: Atom, where: list[_Where], parameters: Mapping[str, torch.Tensor]) -> bool:
    """Whether the atom selects one of several parts packed in one parameter, such as queries, keys and values."""
    return all(parameters[name].shape[place] > atom.size for name, place, *_ in where)
