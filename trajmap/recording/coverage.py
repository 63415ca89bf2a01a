"""Whether the recorded parameters are the trained ones, at the start and later on."""

from collections.abc import Sequence
from typing import Any

import torch

from trajmap.recording.ledger import groups_of
from trajmap.recording.selections import Select

__all__ = ["Coverage"]


class Coverage:
    """Compare what is recorded with what is trained.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    select : callable
        The recorder's selection of parameters.
    recorded : sequence of torch.Tensor
        The selected parameters.
    """

    def __init__(self, model: torch.nn.Module, select: Select, recorded: Sequence[torch.Tensor]) -> None:
        self._model, self._select = model, select
        self._recorded = {id(p) for p in recorded}
        self._others = [p for p in model.parameters() if id(p) not in self._recorded]
        self._seen: tuple[int, int] | None = None

    def idle(self, optimizers: Sequence[Any]) -> list[str]:
        """Names of recorded, trainable parameters that no optimizer holds."""
        held = _held(optimizers)
        named = self._model.named_parameters()
        return [name for name, p in named if p.requires_grad and id(p) in self._recorded and id(p) not in held]

    def late(self, optimizers: Sequence[Any]) -> list[str]:
        """Names of trained parameters that would be selected now but were not at the start."""
        n_groups = sum(len(groups_of(one)) for one in optimizers)
        now = (n_groups, sum(p.requires_grad for p in self._others))
        if now == self._seen:
            return []
        self._seen = now
        held = _held(optimizers)
        new = [(n, p) for n, p in self._model.named_parameters() if id(p) not in self._recorded and id(p) in held]
        return [name for name, p in new if p.requires_grad and self._select(name, p)]


def _held(optimizers: Sequence[Any]) -> set[int]:
    return {id(p) for one in optimizers for group in groups_of(one) for p in group["params"]}
