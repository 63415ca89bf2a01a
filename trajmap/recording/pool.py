"""Scalars of batches whose gradients are accumulated."""

from trajmap.recording.run_buffer import Numbers

__all__ = ["Pool"]


class Pool:
    """Keep the scalars of the batches since a step, until the next step asks for their means."""

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
        """Return the means over the kept batches of a step and its last batch."""
        if self._step != step - 1:
            return numbers
        self.add(step - 1, numbers)
        lists, self._lists, self._step = self._lists, {}, -1
        return {name: sum(values) / len(values) for name, values in lists.items()}
