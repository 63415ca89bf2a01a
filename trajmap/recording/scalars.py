"""The scalars of a training: their checks, and the mean over accumulated batches."""

from collections.abc import Mapping

import torch

from trajmap._validation import describe, worded
from trajmap.errors import InputError
from trajmap.recording.run_buffer import Numbers

__all__ = ["Pool", "as_number", "checked_scalars"]


class Pool:
    """Keep the scalars of the batches since a step, until the next step takes their means."""

    def __init__(self) -> None:
        self._lists: dict[str, list[float]] = {}
        self._step = -1

    def add(self, step: int, numbers: Numbers) -> None:
        """Keep the scalars of a batch after a step."""
        if self._step != step:
            self._lists, self._step = {}, step
        for name, value in numbers.items():
            self._lists.setdefault(name, []).append(value)

    def means(self, step: int, numbers: Numbers) -> Numbers:
        """Give the means over what was kept for a step and its last batch."""
        if self._step != step - 1:
            return numbers
        self.add(step - 1, numbers)
        lists, self._lists, self._step = self._lists, {}, -1
        return {name: sum(values) / len(values) for name, values in lists.items()}


def as_number(name: str, value: object) -> float:
    """Convert a scalar, also a tensor with one entry; a word is refused."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.detach().item()
    try:
        if isinstance(value, str):  # float() would read one, but a word is a slip of the pen here
            raise TypeError
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(worded(name, "a number", describe(value))) from error


def checked_scalars(scalars: object) -> Numbers:
    """Check scalars given by a mapping, under any name."""
    if not isinstance(scalars, Mapping):
        expected, repair = "a mapping of names to numbers", "a step is given by its name, as record(step=3)"
        raise InputError(worded("scalars", expected, scalars, repair))
    return {str(name): as_number(str(name), value) for name, value in scalars.items()}
