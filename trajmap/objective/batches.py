"""The data of an objective: private copies of the batches, given out as fresh objects of the user's types."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.objective.structure import Structure

__all__ = ["Batch", "Batches", "differ", "fixed_leaves"]


class Batch:
    """One batch, of the user's type.

    Each call gets its own containers. Tensors are shared by all calls, unless a function writes to them: at first a
    function gets clones, which show whether it writes; a function that writes always gets clones.

    Parameters
    ----------
    structure : Structure
        Of the user's object.
    leaves : list
        Private tensors and arrays for it.
    wants_gradient : list of bool
        Leaves with respect to which the loss differentiates.
    fixed : frozenset of int
        Leaves without samples along their first axis, such as a graph that all batches share.
    """

    def __init__(
        self,
        structure: Structure,
        leaves: list[Any],
        wants_gradient: list[bool],
        fixed: frozenset[int] = frozenset(),
    ) -> None:
        self._structure, self.leaves, self._wants_gradient, self._fixed = structure, leaves, wants_gradient, fixed
        self._versions = [_version(leaf) for leaf in leaves]
        self._arrays = any(isinstance(leaf, np.ndarray) for leaf in leaves)
        self._known: set[str] = set()
        self._trial: list[Any] | None = None
        self._written = False

    @property
    def size(self) -> int | None:
        """The length of the first axis if all tensors and arrays agree, else None."""
        sizes = {leaf.shape[0] for leaf in self.samples}
        packed = any(self._structure.stays)
        return sizes.pop() if len(sizes) == 1 and not packed else None

    @property
    def samples(self) -> list[Any]:
        """The leaves that have samples along their first axis, if that axis counts samples."""
        return [leaf for k, leaf in enumerate(self.leaves) if self._sampled(k)]

    def _sampled(self, k: int) -> bool:
        return bool(self.leaves[k].ndim) and k not in self._fixed

    def fresh(self, who: str = "") -> Any:
        """Give the batch to a function, which may change it; `who` identifies the function."""
        if self._trial is not None and (who in self._known or differ(self._trial, self.leaves)):
            self.settle()
        for leaf in self.leaves:
            if isinstance(leaf, torch.Tensor) and leaf.requires_grad:  # a call requested its derivatives
                leaf.requires_grad, leaf.grad = False, None
        if self._written:
            return self._build(_clones(self.leaves))
        if [_version(leaf) for leaf in self.leaves] != self._versions:
            raise InputError(worded("loss", "a function that writes to its batch in every call or in none",
                                    "one that did so in a later call", "clone tensors before writing"))  # fmt: skip
        if who in self._known:
            return self._build(self.leaves)
        self._known.add(who)
        if self._trial is None:
            self._trial = _clones(self.leaves)
        return self._build(self._trial)

    def settle(self) -> None:
        """Check whether the function wrote to its clones, and drop them."""
        if self._trial is not None:
            self._written |= differ(self._trial, self.leaves)
            self._trial = None

    def look(self) -> Any:
        """Return the batch for reading."""
        return self._structure.build(self.leaves)

    def like(self, samples: list[Any]) -> Any:
        """Build an object of the user's type with other `samples`, which may carry derivatives."""
        return self._structure.build(self._mixed(samples))

    def map(self, function: Callable[[Any], Any]) -> "Batch":
        """Make the same with a function applied to each tensor and array."""
        return Batch(self._structure, [function(leaf) for leaf in self.leaves], self._wants_gradient, self._fixed)

    def with_samples(self, samples: list[Any]) -> "Batch":
        """Make the same with other `samples`."""
        return Batch(self._structure, self._mixed(samples), self._wants_gradient, self._fixed)

    def with_fixed(self, fixed: frozenset[int]) -> "Batch":
        """Make the same with other leaves known to have no samples."""
        return Batch(self._structure, self.leaves, self._wants_gradient, fixed)

    def _mixed(self, samples: list[Any]) -> list[Any]:
        left = iter(samples)
        return [next(left) if self._sampled(k) else leaf for k, leaf in enumerate(self.leaves)]

    def _build(self, leaves: list[Any]) -> Any:
        if self._arrays and leaves is self.leaves:  # writes to an array cannot be detected
            leaves = [leaf.copy() if isinstance(leaf, np.ndarray) else leaf for leaf in leaves]
        if any(self._wants_gradient):
            pairs = zip(leaves, self._wants_gradient, strict=True)
            leaves = [leaf.detach().requires_grad_() if wants else leaf for leaf, wants in pairs]
        return self._structure.build(leaves)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.look(), self._wants_gradient, self._fixed

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        taken = Structure(state[0])
        self.__init__(taken.without_leaves(), taken.leaves, *state[1:])  # type: ignore[misc]


class Batches(Sequence[Any]):
    """Batches in a fixed order; reading one gives a fresh object of the user's type.

    Parameters
    ----------
    kept : sequence of Batch
        The batches.
    """

    def __init__(self, kept: Sequence[Batch]) -> None:
        self.kept = list(kept)
        self._last: Batch | None = None

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, j: Any) -> Any:
        return self.fresh(j) if isinstance(j, int) else Batches(self.kept[j])

    def __iter__(self) -> Iterator[Any]:
        return (self.fresh(j) for j in range(len(self)))

    def fresh(self, j: int, who: str = "") -> Any:
        """Give batch j to a function; `who` identifies the function."""
        batch = self.kept[j]
        if self._last is not batch:
            self.settle()  # clones of one batch at a time
        self._last = batch
        return batch.fresh(who)

    def settle(self) -> None:
        """Drop the last clones, after a check whether they were written to."""
        if self._last is not None:
            self._last.settle()
            self._last = None

    def map(self, function: Callable[[Any], Any]) -> "Batches":
        """Make the same with a function applied to each tensor and array."""
        return Batches([batch.map(function) for batch in self.kept])


def fixed_leaves(batches: Sequence[Batch]) -> frozenset[int]:
    """Find leaves that are equal in all batches and whose size differs from the others'.

    Parameters
    ----------
    batches : sequence of Batch
        The data.

    Returns
    -------
    frozenset of int
        Their indices; empty if the other sizes still disagree.
    """
    first, *others = batches
    if all(batch.size is not None for batch in batches) or any(len(b.leaves) != len(first.leaves) for b in others):
        return frozenset()
    found = {k for k, leaf in enumerate(first.leaves) if all(_equal(leaf, other.leaves[k]) for other in others)}
    sizes = [batch.with_fixed(frozenset(found)).size for batch in batches]
    if None in sizes:
        return frozenset()
    shapes = [[leaf.shape[:1] for leaf in batch.leaves] for batch in batches]
    return frozenset(k for k in found if any(s[k] != (size,) for s, size in zip(shapes, sizes, strict=True)))


def _clones(leaves: list[Any]) -> list[Any]:
    return [leaf.copy() if isinstance(leaf, np.ndarray) else leaf.clone() for leaf in leaves]


def _version(leaf: Any) -> int:
    """Count the writes to a tensor, as torch does."""
    return leaf._version if isinstance(leaf, torch.Tensor) else 0


def differ(ones: list[Any], others: list[Any]) -> bool:
    """Whether values differ, or cannot be compared; this also detects writes that torch does not count."""
    return any(not _equal(one, other) for one, other in zip(ones, others, strict=True))


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))
    try:
        same = torch.equal(one, other)
        if same or not one.is_floating_point() or one.shape != other.shape:
            return same
        return bool(((one == other) | (one.isnan() & other.isnan())).all())
    except (RuntimeError, NotImplementedError, TypeError):  # sparse or nested ones
        return False
