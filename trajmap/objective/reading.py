"""Read a loader once without changing its state, and stop if it has no end."""

import contextlib
import copy
import random
from collections.abc import Callable, Generator, Iterable, Sized
from typing import Any

import numpy as np
import torch

from trajmap._validation import check_count, worded
from trajmap.errors import InputError
from trajmap.objective.memory import free_memory

__all__ = ["read_all", "untouched_generators"]

_MOST_BATCHES = 2**14
_MOST_BYTES = 2**31
_MOST_ROUNDS = 100
_MOST_VISITED = 10_000


def read_all(batches: Iterable[Any], take: Callable[[Any], tuple[Any, bool, int]], most: int | None) -> list[Any]:
    """Read all batches, or up to a limit if their number is unknown.

    Parameters
    ----------
    batches : iterable
        A loader or a list. The states of its random generators are restored.
    take : callable
        ``take(batch)`` returns the kept batch, whether it was known before, and the bytes that it added.
    most : int or None
        Read only this many.

    Returns
    -------
    list
        The kept batches.

    Raises
    ------
    InputError
        If there is no batch, or a loader without a length repeats its batches a hundred times, or gives more than 16384
        of them, or more than 2 GiB or a third of the free memory.
    """
    if isinstance(batches, (torch.Tensor, np.ndarray, str)):
        got = "one tensor" if isinstance(batches, torch.Tensor) else type(batches).__name__
        raise InputError(worded("batches", "an iterable of batches", got, "pass [batch]"))
    if not isinstance(batches, Iterable):
        raise InputError(worded("batches", "an iterable of batches", batches, "pass [batch]"))
    if most is not None:
        most = check_count("max_batches", most)
    bound = None if most is not None or _says_its_length(batches) else _Bound()
    found: list[Any] = []
    with untouched_generators(batches), contextlib.closing(_iterator(batches)) as iterator:
        while most is None or len(found) < most:
            batch = next(iterator, _END)
            if batch is _END:
                break
            kept, again, size = take(batch)
            found.append(kept)
            if bound is not None:
                bound.count(len(found), size, again=again)
    if not found:
        raise InputError(worded("batches", "at least one batch", "none"))
    return found


_END = object()


class _Bound:
    """The limit for reading something of unknown length."""

    def __init__(self) -> None:
        self._bytes, self._again = 0, 0
        # a copy can take twice its bytes if memory is fragmented
        self._most_bytes = min(_MOST_BYTES, free_memory() // 3)

    def count(self, n: int, size: int, *, again: bool) -> None:
        self._bytes += size
        self._again += again
        reason = None
        if self._again >= _MOST_ROUNDS * (n - self._again):
            reason = f"the same {n - self._again} repeatedly"
        elif n > _MOST_BATCHES:
            reason = f"more than {_MOST_BATCHES} without an end"
        elif self._bytes > self._most_bytes:
            reason = f"{n} with {self._bytes / 2**30:.1f} GiB and no end"
        if reason is not None:
            repair = "max_batches=n reads the first n, and so does batches=itertools.islice(loader, n)"
            raise InputError(worded("batches", "batches that end, or a list of them", reason, repair))


def _says_its_length(batches: Iterable[Any]) -> bool:
    if not isinstance(batches, Sized):
        return False
    try:
        return len(batches) >= 0
    except TypeError:  # the loader of a stream has the method but raises
        return False


def _iterator(batches: Iterable[Any]) -> Generator[Any, None, None]:
    if isinstance(batches, torch.utils.data.DataLoader) and getattr(batches, "_iterator", None) is not None:
        # its persistent workers may be in the middle of an epoch, so others are used
        batches = copy.copy(batches)
        vars(batches)["_iterator"] = None
    yield from batches


@contextlib.contextmanager
def untouched_generators(loader: Any) -> Generator[None, None, None]:
    """Restore the random generators of a loader, its samplers and its data set on exit.

    Parameters
    ----------
    loader : object
        Any object that holds generators of torch, NumPy or Python, directly or indirectly.

    Yields
    ------
    None
        Draws inside are undone.
    """
    restore = [put_back for held in _generators(loader) for put_back in [_restorer(held)]]
    try:
        yield
    finally:
        for put_back in restore:
            put_back()


_KINDS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


def _generators(root: Any) -> list[Any]:
    """Find generators among the attributes of an object, of these, and so on."""
    found, seen, waiting = [], {id(root)}, [root]
    while waiting and len(seen) < _MOST_VISITED:
        held = waiting.pop(0)
        if isinstance(held, _KINDS):
            found.append(held)
            continue
        for value in _inside(held):
            if id(value) not in seen and not isinstance(value, (torch.Tensor, np.ndarray, str, bytes, int, float)):
                seen.add(id(value))
                waiting.append(value)
    return found


def _inside(held: Any) -> list[Any]:
    if isinstance(held, (list, tuple, set)):
        return list(held)[:64]
    if isinstance(held, dict):
        return list(held.values())[:64]
    return list(vars(held).values()) if hasattr(held, "__dict__") and not isinstance(held, type) else []


def _restorer(held: Any) -> Callable[[], None]:
    if isinstance(held, torch.Generator):
        tensor = held.get_state()
        return lambda: _void(held.set_state(tensor))
    if isinstance(held, np.random.Generator):
        bits, known = held.bit_generator, copy.deepcopy(held.bit_generator.state)
        return lambda: setattr(bits, "state", known)
    if isinstance(held, np.random.RandomState):
        legacy = held.get_state()
        return lambda: held.set_state(legacy)
    state = held.getstate()
    return lambda: _void(held.setstate(state))


def _void(_: Any) -> None:
    return
