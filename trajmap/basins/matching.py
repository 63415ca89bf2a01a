"""Permutations of hidden units that bring one network's weights as near as possible to another's.

Permuting a layer's units, together with the rows that produce them and the columns that read them, does not change the
network's function. Two runs may differ only by such a permutation, so barriers between different initialisations are
meaningful only after the weights are matched.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.basins.unit_assignment import improved, inside
from trajmap.basins.unit_group import FrozenNorm, UnitGroup, move_units
from trajmap.basins.units import unit_groups
from trajmap.data.layout import Layout
from trajmap.data.results.matched_weights import MatchedWeights
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["UnitGroup", "groups_at", "match_weights", "permute", "permute_buffers", "require_same_loss", "unit_groups"]


def permute(theta: Array, layout: Layout, groups: Sequence[UnitGroup], permutations: Sequence[Array]) -> Array:
    """Permute hidden units.

    Parameters
    ----------
    theta : array-like, shape (P,)
        Weights.
    layout : Layout
        Layout of θ.
    groups : sequence of UnitGroup
        The units.
    permutations : sequence of numpy.ndarray of int
        For each group the unit that moves to each place.

    Returns
    -------
    numpy.ndarray, shape (P,)
        Weights of the same function.

    Raises
    ------
    InputError
        If a group's parameter is not in the layout, or an order is not a permutation of its units.
    """
    parts = _units_of(np.asarray(theta), layout, groups)
    for group, order in zip(groups, permutations, strict=True):
        move_units(parts, group.axes, _checked(order, group))
    return layout.join(_with_statistics(parts, _norms(groups), kept=True))


def permute_buffers(
    buffers: Mapping[str, Array], groups: Sequence[UnitGroup], permutations: Sequence[Array]
) -> dict[str, Array]:
    """Permute the buffers of a network, such as BatchNorm's statistics, with its hidden units.

    Parameters
    ----------
    buffers : mapping of str to array-like
        By name, for example ``trajectory.buffers(i)``; for ``objective.with_buffers``.
    groups : sequence of UnitGroup
        The units, from ``unit_groups(…, move_buffers=True)``; other groups move no buffers.
    permutations : sequence of numpy.ndarray of int
        For each group the unit that moves to each place.

    Returns
    -------
    dict of str to numpy.ndarray
        Buffers of the network returned by `permute`.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
    >>> groups = unit_groups(model, move_buffers=True)
    >>> permute_buffers({"1.running_mean": np.array([5.0, 6.0, 7.0])}, groups, [np.array([2, 0, 1])])
    {'1.running_mean': array([7., 5., 6.])}
    """
    parts = {name: np.array(values) for name, values in buffers.items()}
    for group, order in zip(groups, permutations, strict=True):
        move_units(parts, [axis for axis in group.buffers if axis[0] in parts], _checked(order, group))
    return parts


def match_weights(
    a: Array,
    b: Array,
    layout: Layout,
    groups: Sequence[UnitGroup],
    *,
    max_passes: int = 50,
    random_state: int = 0,
) -> MatchedWeights:
    """Permute b's hidden units so that its weights are near a's, group by group until nothing changes.

    Units in blocks, such as heads, are matched with their blocks, with the best order inside each pair of blocks.

    Parameters
    ----------
    a, b : array-like, shape (P,)
        Weights of two networks.
    layout : Layout
        Layout of θ.
    groups : sequence of UnitGroup
        Their hidden units.
    max_passes : int
        Maximum number of passes over the groups; each pass only reduces the distance, so the search ends.
    random_state : int
        Seed of the order of the groups.

    Returns
    -------
    MatchedWeights
        b with its units permuted: the same function.

    References
    ----------
    S. Ainsworth, J. Hayase, S. Srinivasa, Git Re-Basin: merging models modulo permutation symmetries, 2023 (weight
    matching).

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    >>> groups = unit_groups(model)
    >>> names = tuple(name for name, _ in model.named_parameters())
    >>> layout = Layout(names, tuple(tuple(p.shape) for p in model.parameters()))
    >>> a = np.random.default_rng(0).normal(size=layout.size)
    >>> b = permute(a, layout, groups, [np.array([2, 0, 3, 1])])
    >>> bool(np.allclose(match_weights(a, b, layout, groups).theta, a))
    True
    """
    a, b = (check_array(name, theta, (layout.size,), dtype=np.float64) for name, theta in (("a", a), ("b", b)))
    target, own = (_units_of(theta, layout, groups) for theta in (a, b))
    permutations = [np.arange(group.size) for group in groups]
    rng = np.random.default_rng(random_state)
    families = [inside(groups, i) for i in range(len(groups))]
    alone = [i for i in range(len(groups)) if not any(i in family for family in families)]
    for _ in range(check_count("max_passes", max_passes)):
        changed = False
        for i in rng.permutation(alone):
            better = improved(target, own, groups, permutations, i, families[i])
            for k, order in better.items():
                permutations[k], changed = order, True
        if not changed:
            break
    return MatchedWeights(permute(b, layout, groups, permutations), tuple(permutations))


def groups_at(objective: Objective, groups: Sequence[UnitGroup]) -> list[UnitGroup]:
    """Adapt groups to the BatchNorm statistics of an objective.

    Parameters
    ----------
    objective : Objective
        The loss; its frozen statistics are not moved, and recomputed ones need no adaptation.
    groups : sequence of UnitGroup
        The units of its model.

    Returns
    -------
    list of UnitGroup
        Groups whose permutations do not change the objective's loss.
    """
    if objective.parts.re_estimates:
        return [dataclasses.replace(group, norms=()) for group in groups]
    buffers = {name: b.detach().double().cpu().numpy() for name, b in objective.model.named_buffers()}

    def fitted(norm: FrozenNorm) -> FrozenNorm:
        scale = np.sqrt(buffers[norm.variance] + norm.eps)
        return dataclasses.replace(norm, shift=buffers[norm.mean].copy(), scale=scale)

    return [dataclasses.replace(group, norms=tuple(map(fitted, group.norms))) for group in groups]


def require_same_loss(objective: Objective, b: Array, matched: Array, *, at_matched: Objective | None = None) -> None:
    """Raise an error if a matched network is not the same function as before.

    Parameters
    ----------
    objective : Objective
        The loss.
    b : array-like, shape (P,)
        Weights before matching.
    matched : array-like, shape (P,)
        Weights after it.
    at_matched : Objective, optional
        The loss with the buffers of the matched network; the same by default.

    Raises
    ------
    InputError
        If the losses differ by more than rounding.
    """
    before, after = objective.value(b), (at_matched or objective).value(matched)
    # sums in another order agree to a few roundings per layer; half of the digits is far above that, and a wrong group
    # far beyond
    eps = max(torch.finfo(p.dtype).eps for p in objective.model.parameters() if p.is_floating_point())
    low = eps**0.5 * abs(before) + 10 * eps
    same = before == after or (np.isnan(before) and np.isnan(after)) or abs(after - before) <= low
    if not same:
        expected = f"units whose permutations change nothing: a matched network of loss {before:.6g}"
        repair = "use the groups of unit_groups(objective)"
        raise InputError(worded("groups", expected, f"one of loss {after:.6g}", repair))


def _checked(order: Array, group: UnitGroup) -> Array:
    order = np.asarray(order)
    if order.shape != (group.size,) or not (np.sort(order) == np.arange(group.size)).all():
        raise InputError(worded("permutations", f"each of 0 to {group.size - 1} once", order))
    return order


def _norms(groups: Sequence[UnitGroup]) -> list[FrozenNorm]:
    return list({norm.mean: norm for group in groups for norm in group.norms}.values())


def _units_of(theta: Array, layout: Layout, groups: Sequence[UnitGroup]) -> dict[str, Array]:
    """Parameters by name, with frozen statistics merged into the weight and bias that follow them."""
    missing = sorted({name for group in groups for name, *_ in group.axes} - set(layout.names))
    if missing:
        raise InputError(worded("groups", "units of parameters in θ", f"also of {', '.join(missing)}"))
    return _with_statistics({name: part.copy() for name, part in layout.split(theta).items()}, _norms(groups))


def _with_statistics(parts: dict[str, Array], norms: Sequence[FrozenNorm], *, kept: bool = False) -> dict[str, Array]:
    """γ(x − μ)/σ + β = γ'x + β': γ' and β' belong only to the units; `kept` inverts this."""
    for norm in norms:
        weight, bias = parts[norm.weight], parts[norm.bias]
        if kept:
            parts[norm.weight], parts[norm.bias] = weight * norm.scale, bias + weight * norm.shift
        else:
            weight = weight / norm.scale
            parts[norm.weight], parts[norm.bias] = weight, bias - weight * norm.shift
    return parts
