"""The remaining places of a run after it was thinned to stay within its budget."""

import bisect
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

__all__ = ["Thinning"]


@dataclasses.dataclass(frozen=True)
class Thinning:
    """The remaining places of a part of a run.

    It is written to ``run.json`` before any file is removed, so that an interrupted removal does not change the run.

    Parameters
    ----------
    below : int
        Places from here on are not affected.
    interval : int
        The present interval: one of this many due iterates is recorded.
    kept : sequence of (int, int, int)
        First and last place and stride of each range of kept places.

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

    @classmethod
    def of(cls, places: Sequence[int], *, below: int, interval: int) -> "Thinning":
        """Make it from an increasing list of places."""
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
        """Read it from JSON."""
        kept = tuple((int(first), int(last), int(stride)) for first, last, stride in words["kept"])
        if any(stride < 1 for _, _, stride in kept) or sorted(kept) != list(kept):
            raise ValueError("ranges of kept places that do not increase")
        return cls(int(words["below"]), int(words["interval"]), kept)

    def drops(self, place: int) -> bool:
        """Whether the iterate at a place is removed, or will be."""
        return place < self.below and not self._keeps(place)

    def stretches(self, first: int, last: int) -> list[tuple[int, int]]:
        """List the expected places in a range: the first and the last of each kept range.

        Parameters
        ----------
        first, last : int
            The range, both ends included.

        Returns
        -------
        list of (int, int)
            One pair per kept range.
        """
        found = []
        for begin, end, stride in self.kept:
            low = begin + max(0, -(-(first - begin) // stride)) * stride
            high = begin + (min(end, last, self.below - 1) - begin) // stride * stride
            if low <= high:
                found.append((low, high))
        if last >= self.below:
            found.append((max(first, self.below), last))
        return found

    def _keeps(self, place: int) -> bool:
        after = bisect.bisect_right(self._begins, place)
        if not after:
            return False
        begin, end, stride = self.kept[after - 1]
        return place <= end and (place - begin) % stride == 0

    @functools.cached_property
    def _begins(self) -> list[int]:
        return [begin for begin, _, _ in self.kept]
