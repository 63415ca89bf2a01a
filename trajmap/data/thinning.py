"""Which places of a run are still there after it was thinned to keep within its bytes."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

__all__ = ["Thinning"]


@dataclasses.dataclass(frozen=True)
class Thinning:
    """The places that are left of a stretch of a run.

    It is written to ``run.json`` before any file is removed, so that a run is the same whether the removal was
    finished or not.

    Parameters
    ----------
    below : int
        Places from here on are not concerned.
    interval : int
        Of how many due iterates one is recorded by now.
    kept : sequence of (int, int, int)
        First and last place and stride of each stretch of kept places.

    Examples
    --------
    >>> Thinning.of([0, 2, 4, 5], below=7, interval=2)
    Thinning(below=7, interval=2, kept=((0, 4, 2), (5, 5, 1)))
    >>> Thinning.of([0, 2, 4, 5], below=7, interval=2).drops(3)
    True
    """

    below: int
    interval: int
    kept: Sequence[tuple[int, int, int]]

    @functools.cached_property
    def places(self) -> frozenset[int]:
        """The places that are left, below the bound."""
        return frozenset(p for first, last, stride in self.kept for p in range(first, last + 1, stride))

    @classmethod
    def of(cls, places: Sequence[int], *, below: int, interval: int) -> "Thinning":
        """Say it of a rising list of places."""
        stretches: list[tuple[int, int, int]] = []
        for place in places:
            first, last, stride = stretches[-1] if stretches else (0, 0, 0)
            if stretches and (first == last or place - last == stride):
                stretches[-1] = (first, place, place - last)
            else:
                stretches.append((place, place, 1))
        return cls(below, interval, tuple(stretches))

    @classmethod
    def parse(cls, words: dict[str, Any]) -> "Thinning":
        """Read it back from JSON."""
        kept = tuple((int(first), int(last), int(stride)) for first, last, stride in words["kept"])
        return cls(int(words["below"]), int(words["interval"]), kept)

    def drops(self, place: int) -> bool:
        """Whether the iterate at a place is gone, or about to be."""
        return place < self.below and place not in self.places
