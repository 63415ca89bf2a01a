"""One step of matching units: the best order of one group with the others fixed, by linear assignment."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from trajmap._validation import Array
from trajmap.basins.unit_group import UnitAxis, UnitGroup, move_units

__all__ = ["improved", "inside"]


def inside(groups: Sequence[UnitGroup], i: int) -> dict[int, int]:
    """Find the groups inside the blocks permuted by group i, such as the places within heads.

    Parameters
    ----------
    groups : sequence of UnitGroup
        All groups.
    i : int
        The group of the blocks.

    Returns
    -------
    dict of int to int
        For each such group its block.
    """
    coarse = {_whole(axis)[:3] for axis in groups[i].axes}
    found = {}
    for k, group in enumerate(groups):
        axes = [_whole(axis) for axis in group.axes]
        if all(axis[3] == groups[i].size > 1 and axis[:3] in coarse for axis in axes):
            found[k] = axes[0][4]
    return found


def improved(
    target: Mapping[str, Array],
    own: Mapping[str, Array],
    groups: Sequence[UnitGroup],
    orders: Sequence[Array],
    i: int,
    family: Mapping[int, int],
) -> dict[int, Array]:
    """Find an order of one group's units, and of those in its blocks, that brings the weights nearer to the target.

    Parameters
    ----------
    target, own : mapping of str to numpy.ndarray
        Weights of the two networks.
    groups : sequence of UnitGroup
        All groups.
    orders : sequence of numpy.ndarray of int
        Their present orders.
    i : int
        The group.
    family : mapping of int to int
        Groups inside its blocks, from `inside`.

    Returns
    -------
    dict of int to numpy.ndarray
        New orders, by group; empty if none is nearer.
    """
    names = {axis[0] for k in (i, *family) for axis in groups[k].axes}
    parts = {name: own[name] for name in names}
    for j, (other, order) in enumerate(zip(groups, orders, strict=True)):
        if j != i and j not in family:
            move_units(parts, [axis for axis in other.axes if axis[0] in names], order)
    nested = {_whole(axis)[:3] for k in family for axis in groups[k].axes}
    gain = _gain(target, parts, groups[i], orders[i], nested)
    inner: dict[tuple[int, int], Array] = {}
    rows: dict[tuple[tuple[str, int, int, int], ...], tuple[list[Array], list[Array]]] = {}
    for k, block in family.items():
        alike = tuple(axis[:4] for axis in map(_whole, groups[k].axes))
        if alike not in rows:
            ours, theirs = (_block_rows(p, groups[k], groups[i].size) for p in (target, parts))
            rows[alike] = ours, theirs
        for unit, candidate in enumerate(rows[alike][1]):
            products = rows[alike][0][block] @ candidate.T
            places, inner[k, unit] = linear_sum_assignment(products, maximize=True)
            gain[block, unit] += products[places, inner[k, unit]].sum()
    _, order = linear_sum_assignment(gain, maximize=True)
    better = {i: order} | {k: inner[k, int(order[block])] for k, block in family.items()}

    def nearness(chosen: Mapping[int, Array]) -> float:
        moved = dict(parts)
        for k in (i, *family):  # blocks come before their contents
            move_units(moved, groups[k].axes, chosen[k])
        return sum(float((target[name] * part).sum()) for name, part in moved.items())

    before = nearness({k: orders[k] for k in better})
    return better if nearness(better) > before + 1e-12 * abs(before) else {}


def _gain(
    target: Mapping[str, Array],
    parts: Mapping[str, Array],
    group: UnitGroup,
    order: Array,
    left: Collection[tuple[str, int, int]],
) -> Array:
    """Sum the contribution of each unit at each place over the axes that do not belong to units in its blocks."""
    found = np.zeros((group.size, group.size))
    for place, axis in enumerate(group.axes):
        if _whole(axis)[:3] in left:
            continue
        # weights with the units along several axes are linear in one of them, with the others fixed
        part = {axis[0]: parts[axis[0]]}
        move_units(part, [where for k, where in enumerate(group.axes) if k != place and where[0] == axis[0]], order)
        ours, theirs = (_rows(p[axis[0]], axis, group.size) for p in (target, part))
        found += ours @ theirs.T
    return found


def _whole(axis: UnitAxis) -> tuple[str, int, int, int, int]:
    name, place, *rest = axis
    times, blocks, block = (*rest, *(1, 1, 0)[len(rest) :])
    return name, place, times, blocks, block


def _rows(array: Array, axis: UnitAxis, size: int) -> Array:
    """One row per unit with all its entries."""
    _, place, times, blocks, block = _whole(axis)
    moved = np.moveaxis(array, place, 0)
    split = moved.reshape(times, blocks, size, -1)[:, block]
    return np.moveaxis(split, 1, 0).reshape(size, -1)


def _block_rows(parts: Mapping[str, Array], group: UnitGroup, blocks: int) -> list[Array]:
    """For each block the rows of the units at the same positions as the group's in its own blocks."""
    axes = [_whole(axis) for axis in group.axes]
    return [
        np.concatenate([_rows(parts[axis[0]], (*axis[:4], block), group.size) for axis in axes], axis=1)
        for block in range(blocks)
    ]
