"""Axes of tensors as products of parts, to find parts that must be permuted together by tying axes.

An axis is a list of atoms, the outer first: an axis of 12 may be one atom of 12, or 3 heads of 4. Operations tie the
axes of their inputs to those of their outputs; an axis tied to a finer one is divided in the same way. An atom that no
operation pins may be permuted wherever it appears, without any change of the network's function.
"""

from collections.abc import Sequence

__all__ = ["NATURAL", "TAKEN", "Atom", "Axis", "cut", "fresh", "leaves", "pin", "tie"]

NATURAL = ""  # the reason for axes that nobody expects to permute: inputs, outputs, places in an image
TAKEN = "single places of it are used"


class Atom:
    """Indices that are permuted together, or the parts into which they were divided.

    Parameters
    ----------
    size : int
        Number of indices.
    reasons : set of str
        Reasons why they must not be permuted; empty if they may be.
    """

    __slots__ = ("parts", "reasons", "size")

    def __init__(self, size: int, reasons: Sequence[str] | set[str] = ()) -> None:
        self.size = size
        self.reasons = set(reasons)
        self.parts: list[Atom] | None = None

    def divide(self, outer: int) -> None:
        """Divide into `outer` blocks."""
        self.parts = [Atom(outer, self.reasons), Atom(self.size // outer, self.reasons)]

    def join(self, other: "Atom") -> None:
        """Merge with another atom of the same size."""
        self.reasons |= other.reasons
        other.parts = [self]


Axis = list[Atom]


def fresh(size: int, *reasons: str) -> Axis:
    """Make a new axis; an axis of one index has no atoms, because nothing can be permuted."""
    return [Atom(size, reasons)] if size > 1 else []


def leaves(axis: Sequence[Atom]) -> Axis:
    """List the present atoms of an axis, the outer first."""
    found: Axis = []
    for atom in axis:
        found += [atom] if atom.parts is None else leaves(atom.parts)
    return found


def pin(axis: Sequence[Atom], reason: str) -> None:
    """Pin an axis."""
    for atom in leaves(axis):
        atom.reasons.add(reason)


def tie(first: Sequence[Atom], second: Sequence[Atom], reason: str) -> None:
    """Merge two axes of one length; if their parts do not fit, pin them with the reason.

    Parameters
    ----------
    first, second : sequence of Atom
        The axes.
    reason : str
        The operation that ties them.

    Examples
    --------
    >>> units, heads = fresh(12), [*fresh(3), *fresh(4)]
    >>> tie(units, heads, "view")
    >>> [atom.size for atom in leaves(units)], leaves(units) == leaves(heads)
    ([3, 4], True)
    """
    left, right = leaves(first), leaves(second)
    while left and right:
        a, b = left.pop(0), right.pop(0)
        if a.parts is not None or b.parts is not None:  # divided or merged since they were listed
            left, right = [*leaves([a]), *left], [*leaves([b]), *right]
        elif a is b:
            continue
        elif a.size == b.size:
            a.join(b)
        elif a.size % b.size == 0:
            a.divide(b.size)
            left, right = [*leaves([a]), *left], [b, *right]
        elif b.size % a.size == 0:
            b.divide(a.size)
            left, right = [a, *left], [*leaves([b]), *right]
        else:
            left, right = [a, *left], [b, *right]
            break
    pin([*left, *right], reason)


def cut(atoms: Sequence[Atom], sizes: Sequence[int]) -> list[Axis] | None:
    """Split a row of atoms into axes of given lengths, as a view does; None if the parts do not fit.

    Parameters
    ----------
    atoms : sequence of Atom
        The outer first.
    sizes : sequence of int
        Lengths of the axes.

    Returns
    -------
    list of Axis, or None
        One per length.

    Examples
    --------
    >>> [[atom.size for atom in axis] for axis in cut(fresh(12), [3, 4])]
    [[3], [4]]
    >>> cut([*fresh(4), *fresh(3)], [3, 4]) is None
    True
    """
    row, found = leaves(atoms), []
    for size in sizes:
        axis: Axis = []
        rest = size
        while rest > 1:
            if not row:
                return None
            atom = row.pop(0)
            if rest % atom.size == 0:
                axis.append(atom)
                rest //= atom.size
            elif atom.size % rest == 0:
                atom.divide(rest)
                row = [*leaves([atom]), *row]
            else:
                return None
        found.append(axis)
    return None if row else found
