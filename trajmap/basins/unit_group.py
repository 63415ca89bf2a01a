"""Hidden units that are permuted together: where they lie in parameters and buffers."""

import dataclasses
from collections.abc import Sequence
from typing import overload

import numpy as np

from trajmap._validation import Array

__all__ = ["FrozenNorm", "UnitAxis", "UnitGroup", "UnitGroups", "move_units", "places"]

UnitAxis = tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int, int]


@dataclasses.dataclass(frozen=True)
class FrozenNorm:
    """A normalisation whose statistics stay where they are: its weight and bias take up what permuting changes.

    Parameters
    ----------
    weight, bias : str
        Its parameters.
    mean, variance : str
        Its statistics, names of buffers.
    eps : float
        What is added to the variance.
    shift, scale : numpy.ndarray
        Mean and standard deviation, one a unit.
    """

    weight: str
    bias: str
    mean: str
    variance: str
    eps: float
    shift: Array = dataclasses.field(repr=False, compare=False)
    scale: Array = dataclasses.field(repr=False, compare=False)


@dataclasses.dataclass(frozen=True)
class UnitGroup:
    """Units that are permuted together.

    Parameters
    ----------
    size : int
        Number of units.
    axes : tuple of tuples (str, int, …)
        Parameters that have the units along an axis. An axis that is a multiple of `size` long holds them in
        blocks, as a linear layer does after a flattened convolution; a third number says how many times over, one
        after the other, as the queries, keys and values of attention heads lie in one weight. Two more numbers say
        that each time holds so many blocks, and in which of them the units lie: the places within one head.
    buffers : tuple of tuples (str, int, …)
        Buffers that move with them.
    norms : tuple of FrozenNorm
        Normalisations whose statistics do not move.
    """

    size: int
    axes: tuple[UnitAxis, ...]
    buffers: tuple[UnitAxis, ...] = dataclasses.field(default=(), repr=False)
    norms: tuple[FrozenNorm, ...] = dataclasses.field(default=(), repr=False)


@dataclasses.dataclass(frozen=True, repr=False)
class UnitGroups(Sequence[UnitGroup]):
    """Groups of hidden units, as a sequence, with a word on those that were left out.

    Parameters
    ----------
    groups : tuple of UnitGroup
        Each was verified: permuting it changes no output.
    left_out : tuple of str
        Units that may not be permuted, or for which it is not known, and why.
    """

    groups: tuple[UnitGroup, ...] = ()
    left_out: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int) -> UnitGroup: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[UnitGroup]: ...

    def __getitem__(self, index: int | slice) -> UnitGroup | Sequence[UnitGroup]:
        return self.groups[index]

    def __len__(self) -> int:
        return len(self.groups)

    def __repr__(self) -> str:
        return repr(list(self.groups))

    def __str__(self) -> str:
        sizes = ", ".join(str(group.size) for group in self.groups)
        found = f"groups of {sizes} units" if self.groups else "no units that may be permuted"
        return found + (f"; left out: {'; '.join(self.left_out)}" if self.left_out else "")


def places(order: Array, length: int, times: int = 1, blocks: int = 1, block: int = 0) -> Array:
    """List where each entry of an axis comes from, when the units it holds, in blocks or several times, are permuted.

    Parameters
    ----------
    order : numpy.ndarray of int
        For each place the unit that comes to it.
    length : int
        Of the axis.
    times : int
        How many times over it holds the units.
    blocks, block : int
        Of how many blocks a time, and in which of them.

    Returns
    -------
    numpy.ndarray of int, shape (length,)
        Places.

    Examples
    --------
    >>> places(np.array([1, 0]), 8, 2).tolist()
    [2, 3, 0, 1, 6, 7, 4, 5]
    >>> places(np.array([1, 0]), 8, 1, 2, 1).tolist()
    [0, 1, 2, 3, 6, 7, 4, 5]
    """
    found = np.arange(length).reshape(times, blocks, len(order), -1)
    found[:, block] = found[:, block][:, order]
    return found.ravel()


def move_units(parts: dict[str, Array], axes: Sequence[UnitAxis], order: Array) -> None:
    """Permute units in named arrays, which are replaced by new ones."""
    for name, axis, *times in axes:
        parts[name] = np.take(parts[name], places(order, parts[name].shape[axis], *times), axis=axis)
