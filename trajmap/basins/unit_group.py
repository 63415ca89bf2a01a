"""Hidden units that are permuted together, with their positions in parameters and buffers."""

import dataclasses
from collections.abc import Sequence
from typing import overload

import numpy as np

from trajmap._validation import Array

__all__ = ["FrozenNorm", "UnitAxis", "UnitGroup", "UnitGroups", "move_units", "places"]

UnitAxis = tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int, int]


@dataclasses.dataclass(frozen=True)
class FrozenNorm:
    """A normalisation whose statistics do not move: its weight and bias compensate the permutation.

    Parameters
    ----------
    weight, bias : str
        Its parameters.
    mean, variance : str
        Its statistics, names of buffers.
    eps : float
        The constant added to the variance.
    shift, scale : numpy.ndarray
        Mean and standard deviation, one per unit.
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
        Parameters that have the units along an axis. An axis whose length is a multiple of `size` holds them in blocks,
        for example in a linear layer after a flattened convolution. A third number is the number of repetitions along
        the axis, as for queries, keys and values of attention heads in one weight. Two more numbers are the number of
        blocks in each repetition and the block of the units: the places within one head.
    buffers : tuple of tuples (str, int, …)
        Buffers that move with the units.
    norms : tuple of FrozenNorm
        Normalisations whose statistics do not move.
    """

    size: int
    axes: tuple[UnitAxis, ...]
    buffers: tuple[UnitAxis, ...] = dataclasses.field(default=(), repr=False)
    norms: tuple[FrozenNorm, ...] = dataclasses.field(default=(), repr=False)


@dataclasses.dataclass(frozen=True, repr=False)
class UnitGroups(Sequence[UnitGroup]):
    """Groups of hidden units as a sequence, with notes on omitted units.

    Parameters
    ----------
    groups : tuple of UnitGroup
        The groups; permuting any of them was verified to change no output.
    left_out : tuple of str
        Units that may not be permuted, or for which this is unknown, with the reason.
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
    """List the source of each entry of an axis when its units, in blocks or repeated, are permuted.

    Parameters
    ----------
    order : numpy.ndarray of int
        For each place the unit that moves to it.
    length : int
        Length of the axis.
    times : int
        Number of repetitions of the units.
    blocks, block : int
        Number of blocks per repetition, and the block of the units.

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
    """Permute units in named arrays; the arrays are replaced by new ones."""
    for name, axis, *times in axes:
        parts[name] = np.take(parts[name], places(order, parts[name].shape[axis], *times), axis=axis)
