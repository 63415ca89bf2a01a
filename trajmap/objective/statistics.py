"""BatchNorm's running statistics at a point: the mean over the data, as the point itself would have gathered them."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.objective.losses import Loss

if TYPE_CHECKING:
    from trajmap.objective.twin import Twin

__all__ = ["Statistics", "keeps_statistics"]

_NORMS = torch.nn.modules.batchnorm._BatchNorm


def keeps_statistics(module: torch.nn.Module) -> bool:
    """Tell whether a model keeps running statistics of its data."""
    return bool(_norms(module))


def _norms(module: torch.nn.Module) -> list[torch.nn.Module]:
    return [part for part in module.modules() if isinstance(part, _NORMS) and part.track_running_stats]


class Statistics:
    """Gathers a twin's statistics anew wherever it arrives.

    Parameters
    ----------
    twin : Twin
        The model.
    batches : sequence
        The data.
    loss : callable
        What runs the model.

    Raises
    ------
    InputError
        If the model keeps no such statistics.
    """

    def __init__(self, twin: "Twin", batches: Sequence[Any], loss: Loss) -> None:
        self._batches, self._loss = batches, loss
        # the very parameters of the twin, and buffers of its own
        self._module = copy.deepcopy(twin.module, {id(parameter): parameter for parameter in twin.module.parameters()})
        if not keeps_statistics(self._module):
            raise InputError(worded("re_estimate", "a model with BatchNorm statistics", "one without", "leave it out"))
        for layer in _norms(self._module):
            layer.train()
            vars(layer)["momentum"] = None  # a plain mean over the batches

    @property
    def source(self) -> tuple[Sequence[Any], Loss]:
        """The data, and what runs the model."""
        return self._batches, self._loss

    @property
    def words(self) -> str:
        """Say what the buffers are."""
        return "estimated from the objective's data at each point"

    @torch.no_grad()
    def gather(self) -> dict[str, torch.Tensor]:
        """Run the data through the model where the twin is, and give the buffers that it leaves."""
        buffers = dict(self._module.named_buffers())
        for name, buffer in buffers.items():
            if name.rpartition(".")[2] in {"running_mean", "num_batches_tracked"}:
                buffer.zero_()
            elif name.rpartition(".")[2] == "running_var":
                buffer.fill_(1.0)
        for batch in self._batches:
            self._loss(self._module, batch)
        return buffers
