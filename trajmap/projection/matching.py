"""Permutations of hidden units that make one network's weights as near as possible to another's.

Permuting a layer's units, with the rows that make them and the columns that read them, changes nothing a network
computes. Two runs may be one function apart only by such a permutation, so weights are matched before barriers
between other initialisations mean anything.
"""

import dataclasses

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.layout import Layout
from trajmap.errors import InputError

__all__ = ["UnitGroup", "match_weights", "permute", "unit_groups"]

_WEIGHTED = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
_NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d, torch.nn.LayerNorm, torch.nn.GroupNorm)


@dataclasses.dataclass(frozen=True)
class UnitGroup:
    """Units that are permuted together.

    Parameters
    ----------
    size : int
        Number of units.
    axes : tuple of (str, int) or (str, int, int)
        Parameters that have the units along an axis. An axis that is a multiple of `size` long holds them in
        blocks, as a linear layer does after a flattened convolution; a third number says how many times over, one
        after the other, as the queries, keys and values of attention heads lie in one weight.
    """

    size: int
    axes: tuple[tuple[str, int] | tuple[str, int, int], ...]


def unit_groups(model: torch.nn.Module) -> list[UnitGroup]:
    """Find the hidden units of a network whose layers run one after the other, in the order they are defined.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of linear and convolutional layers with normalisations and elementwise functions between. For
        networks with skips write the groups by hand; of a network with ``torch.nn.MultiheadAttention`` these are the
        heads, and the hidden units of ``torch.nn.TransformerEncoderLayer`` and its like: what its residual stream
        leaves free.

    Returns
    -------
    list of UnitGroup
        One a hidden layer.

    Raises
    ------
    InputError
        If a layer does not take what the one before gives.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    >>> unit_groups(model)
    [UnitGroup(size=5, axes=(('0.weight', 0), ('0.bias', 0), ('2.weight', 1)))]
    """
    inside = _transformer_groups(model)
    if inside:
        return inside
    groups: list[UnitGroup] = []
    size = 0
    axes: list[tuple[str, int]] = []
    for name, module in model.named_modules():
        if isinstance(module, _NORMS) and axes:
            axes += [(f"{name}.{part}", 0) for part, p in module.named_parameters() if len(p) == size]
        elif isinstance(module, _WEIGHTED):
            taken = module.weight.shape[1]
            if axes:
                if taken % size:
                    expected = f"a layer that takes the {size} units before it, or a multiple"
                    raise InputError(worded(name, expected, f"{taken} inputs", "write the groups by hand"))
                groups.append(UnitGroup(size, (*axes, (f"{name}.weight", 1))))
            size = module.weight.shape[0]
            axes = [(f"{name}.weight", 0)] + ([(f"{name}.bias", 0)] if module.bias is not None else [])
    if not groups:
        raise InputError(worded("model", "at least one hidden layer", "none"))
    return groups


def permute(theta: Array, layout: Layout, groups: list[UnitGroup], permutations: list[Array]) -> Array:
    """Permute hidden units.

    Parameters
    ----------
    theta : array-like, shape (P,)
        Weights.
    layout : Layout
        Which are which.
    groups : list of UnitGroup
        The units.
    permutations : list of numpy.ndarray of int
        For each group the unit that comes to each place.

    Returns
    -------
    numpy.ndarray, shape (P,)
        Weights of the same function.
    """
    parts = {name: part.copy() for name, part in layout.split(np.asarray(theta)).items()}
    for group, order in zip(groups, permutations, strict=True):
        for name, axis, *times in group.axes:
            if name in parts:
                parts[name] = np.take(parts[name], _blocked(order, parts[name].shape[axis], *times), axis=axis)
    return layout.join(parts)


def match_weights(
    a: Array, b: Array, layout: Layout, groups: list[UnitGroup], *, max_passes: int = 50, random_state: int = 0
) -> tuple[Array, list[Array]]:
    """Permute b's hidden units so that its weights are near a's, layer by layer until nothing changes.

    Parameters
    ----------
    a, b : array-like, shape (P,)
        Weights of two networks.
    layout : Layout
        Which are which.
    groups : list of UnitGroup
        Their hidden units.
    max_passes : int
        Passes over the layers at most; each only brings the networks nearer, so it ends.
    random_state : int
        Seed of the order of the layers.

    Returns
    -------
    matched : numpy.ndarray, shape (P,)
        b with its units permuted: the same function.
    permutations : list of numpy.ndarray of int
        One a group.

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
    >>> bool(np.allclose(match_weights(a, b, layout, groups)[0], a))
    True
    """
    a, b = (check_array(name, theta, (layout.size,), dtype=np.float64) for name, theta in (("a", a), ("b", b)))
    permutations = [np.arange(group.size) for group in groups]
    rng = np.random.default_rng(random_state)
    target = layout.split(a)
    for _ in range(check_count("max_passes", max_passes)):
        changed = False
        for i in rng.permutation(len(groups)):
            others = [np.arange(g.size) if j == i else permutations[j] for j, g in enumerate(groups)]
            parts = layout.split(permute(b, layout, groups, others))
            gain = np.zeros((groups[i].size, groups[i].size))
            for name, axis, *times in groups[i].axes:
                if name in parts:
                    ours, theirs = (_rows(p[name], axis, groups[i].size, *times) for p in (target, parts))
                    gain += ours @ theirs.T
            _, order = linear_sum_assignment(gain, maximize=True)
            before = gain[np.arange(len(order)), permutations[i]].sum()
            if gain[np.arange(len(order)), order].sum() > before + 1e-12 * abs(before):
                permutations[i], changed = order, True
        if not changed:
            break
    return permute(b, layout, groups, permutations), permutations


def _transformer_groups(model: torch.nn.Module) -> list[UnitGroup]:
    """Heads and feed-forward units of torch's own transformer layers."""
    groups = []
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, torch.nn.MultiheadAttention) and module.in_proj_weight is not None:
            shared = [(f"{prefix}in_proj_weight", 0, 3), (f"{prefix}in_proj_bias", 0, 3)]
            groups.append(UnitGroup(module.num_heads, (*shared, (f"{prefix}out_proj.weight", 1))))
        elif isinstance(module, (torch.nn.TransformerEncoderLayer, torch.nn.TransformerDecoderLayer)):
            first = [(f"{prefix}linear1.weight", 0), (f"{prefix}linear1.bias", 0)]
            groups.append(UnitGroup(module.linear1.out_features, (*first, (f"{prefix}linear2.weight", 1))))
    return groups


def _blocked(order: Array, length: int, times: int = 1) -> Array:
    """Places along an axis that holds each unit in a block, once or several times over."""
    width = length // (len(order) * times)
    once = (order[:, None] * width + np.arange(width)).ravel()
    return np.concatenate([once + i * length // times for i in range(times)])


def _rows(array: Array, axis: int, size: int, times: int = 1) -> Array:
    """One row a unit, all that belongs to it."""
    moved = np.moveaxis(array, axis, 0)
    parts = [part.reshape(size, -1) for part in np.split(moved, times)]
    return np.concatenate(parts, axis=1)
