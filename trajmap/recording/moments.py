"""Second moments of adaptive optimizers: which are known, how they are copied, and at which iterates."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array
from trajmap.data.store.second_moments import MomentsNote
from trajmap.data.store.store import RunHeader
from trajmap.data.thinning import Thinning
from trajmap.recording.snapshot import local_tensor

__all__ = ["Moments", "MomentsLog", "bytes_of_moments", "keeps_moments", "present_moments"]

# torch's optimizers that divide by an array of a parameter's shape, and its name in their state
_KEYS = {
    "Adam": "exp_avg_sq", "AdamW": "exp_avg_sq", "NAdam": "exp_avg_sq", "RAdam": "exp_avg_sq",
    "Adamax": "exp_inf", "RMSprop": "square_avg", "Adagrad": "sum",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Second moments at one iterate.

    Parameters
    ----------
    values : numpy.ndarray, shape (P,)
        In layout order; NaN for parameters without any.
    counts, sizes : numpy.ndarray of int, shape (n,)
        Updates and entries of each parameter.
    """

    values: Array
    counts: Array
    sizes: Array


def keeps_moments(optimizer: Any) -> bool:
    """Whether it is an optimizer of torch with known second moments."""
    kind = type(optimizer)
    return kind.__module__.startswith("torch.optim") and kind.__name__ in _KEYS


@torch.no_grad()
def present_moments(optimizers: Sequence[Any], parameters: Sequence[torch.Tensor]) -> Moments | None:
    """Copy the second moments of parameters, in their order; None if no parameter has any.

    Parameters
    ----------
    optimizers : sequence
        The attached optimizers.
    parameters : sequence of torch.Tensor
        The recorded parameters.

    Returns
    -------
    Moments or None
        float64 if a parameter is float64, else float32.
    """
    held = {id(p): optimizer for optimizer in optimizers if keeps_moments(optimizer)
            for group in optimizer.param_groups for p in group["params"]}  # fmt: skip
    pieces = [local_tensor(p) for p in parameters]
    sizes = np.array([piece.numel() for piece in pieces], np.int64)
    wide = any(piece.dtype == torch.float64 for piece in pieces)
    flat = torch.full((int(sizes.sum()),), float("nan"), dtype=torch.float64 if wide else torch.float32)
    counts = np.zeros(len(pieces), np.int64)
    for i, (parameter, target) in enumerate(zip(parameters, torch.split(flat, sizes.tolist()), strict=True)):
        optimizer = held.get(id(parameter))
        state = {} if optimizer is None else optimizer.state.get(parameter, {})
        found = _moment(state, _KEYS[type(optimizer).__name__]) if state else None
        if found is not None and found.numel() == target.numel() and "step" in state:
            target.copy_(found.reshape(-1))
            counts[i] = int(state["step"])
    return Moments(flat.numpy(), counts, sizes) if counts.any() else None


def _moment(state: dict[str, Any], key: str) -> torch.Tensor | None:
    found = state.get("max_exp_avg_sq", state.get(key))
    if not isinstance(found, torch.Tensor):
        return None
    if key == "square_avg" and "grad_avg" in state:  # centred
        found = found - state["grad_avg"] ** 2
    return local_tensor(found)


def bytes_of_moments(header: RunHeader) -> int:
    """Upper estimate of the bytes of one iterate's second moments on the disk."""
    return header.layout.size * (8 if header.dtype == "float64" else 4) + 16 * len(header.layout.names) + 2048


class MomentsLog:
    """Choose the iterates with second moments: evenly spaced, with the spacing doubled at the limit.

    One place is reserved for the last iterate.

    Parameters
    ----------
    most : int
        Maximum number.

    Examples
    --------
    >>> log = MomentsLog(5)
    >>> [log.add(place, place) for place in range(1, 7) if log.is_due(place)]
    [[], [], [], [], None, [1, 3]]
    """

    def __init__(self, most: int) -> None:
        self._most, self._interval = most, 1
        self._rows: dict[int, int] = {}  # by place, the number among the due ones
        self._gone: list[int] = []  # places whose files are removed when the next one is stored

    def begin_from(self, notes: Sequence[MomentsNote], places: set[int]) -> None:
        """Count those of an earlier session whose iterates still exist."""
        self._rows = {note.place: note.due for note in notes if note.place in places}
        self._gone = [note.place for note in notes if note.place not in places]
        spacing = int(np.gcd.reduce([due for due in self._rows.values() if due > 0] or [1]))
        self._interval = spacing & -spacing

    def is_due(self, due: int | None) -> bool:
        """Whether the due iterate with this number is one of them; the last, without a number, always is."""
        return self._most > 0 and (due is None or (self._most > 1 and due > 0 and due % self._interval == 0))

    def add(self, place: int, due: int) -> list[int] | None:
        """Add an iterate; return the places dropped for it, or None if it is not kept itself."""
        if not self._most or place in self._rows:
            return None
        while len(self._rows) >= self._most - (due > 0):
            self._interval *= 2
            self._gone += [known for known, number in self._rows.items() if not self._is_on(number)]
            self._rows = {known: number for known, number in self._rows.items() if self._is_on(number)}
        if due > 0 and not self._is_on(due):
            return None
        self._rows[place] = due
        gone, self._gone = self._gone, []
        return gone

    def forget(self, thinning: Thinning) -> None:
        """Remove those of removed iterates from the count."""
        self._rows = {place: due for place, due in self._rows.items() if not thinning.drops(place)}

    def _is_on(self, due: int) -> bool:
        return due > 0 and due % self._interval == 0
