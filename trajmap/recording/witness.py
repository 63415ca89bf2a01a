"""Detect that something other than an optimizer's step has changed a model's weights."""

from collections.abc import Sequence

import torch

from trajmap.recording.snapshot import local_tensor

__all__ = ["Witness"]

_N_SPOTS = 4


class Witness:
    """Remember a few entries of the parameters, and how often each was written.

    Loading an average or a checkpoint into a model changes almost every entry, so that four entries of the largest
    parameters are enough to detect it.

    Parameters
    ----------
    parameters : sequence of torch.Tensor
        The recorded parameters.
    """

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self._parameters = list(parameters)
        full = [p for p in parameters if local_tensor(p).numel()]
        self._largest = sorted(full, key=lambda p: -local_tensor(p).numel())[:_N_SPOTS]
        self._writes = -1
        self._entries: list[torch.Tensor] = []

    def mark(self) -> None:
        """Remember the present weights."""
        self._writes, self._entries = self._count(), self._read()

    def touched(self) -> bool:
        """Whether a parameter was written since, according to autograd's version counter; cheap."""
        return self._count() != self._writes

    def changed(self) -> bool:
        """Whether a remembered entry has changed; this waits for the device."""
        pairs = zip(self._entries, self._read() if self._entries else [], strict=True)
        return any(not torch.equal(was.nan_to_num(), now.to(was).nan_to_num()) for was, now in pairs)

    def _count(self) -> int:
        return sum(p._version for p in self._parameters)

    @torch.no_grad()
    def _read(self) -> list[torch.Tensor]:
        pieces = [local_tensor(p.detach()) for p in self._largest]
        return [piece[tuple((n - 1) // 2 for n in piece.shape)].clone() for piece in pieces]
