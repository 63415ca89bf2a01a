"""Report how far a long computation is: ``progress(done, total)``, the same everywhere."""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

__all__ = ["Counted", "Progress", "counted"]

Progress = Callable[[int, int], None]
Item = TypeVar("Item")


class Counted:
    """Add up what is done and report it.

    Parameters
    ----------
    progress : callable or None
        ``progress(done, total)``; None reports nothing.
    total : int
        What is to be done.

    Examples
    --------
    >>> count = Counted(lambda done, total: print(f"{done} of {total}"), 5)
    >>> count(2), count()
    2 of 5
    3 of 5
    (None, None)
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def __call__(self, n: int = 1) -> None:
        """Count n more pieces of work."""
        self._done += n
        if self._progress is not None:
            self._progress(self._done, self._total)

    def finish(self) -> None:
        """Count all that is left, where the work has ended before it was expected."""
        if self._done < self._total:
            self(self._total - self._done)


def counted(items: Iterable[Item], progress: Progress | None, total: int | None = None) -> Iterator[Item]:
    """Go through items, and report each when the next one is asked for.

    Parameters
    ----------
    items : iterable
        The items.
    progress : callable or None
        ``progress(done, total)``; None reports nothing.
    total : int, optional
        How many there are; the length of `items` by default.

    Yields
    ------
    object
        The items.

    Examples
    --------
    >>> [letter for letter in counted("ab", lambda done, total: print(f"{done} of {total}"))]
    1 of 2
    2 of 2
    ['a', 'b']
    """
    known = total if total is not None else len(items) if isinstance(items, Sized) else 0
    count = Counted(progress, known)
    for item in items:
        yield item
        count()
