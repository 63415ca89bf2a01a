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

__all__ = ["Statistics"]

_NORMS = torch.nn.modules.batchnorm._BatchNorm


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
        layers = [m for m in self._module.modules() if isinstance(m, _NORMS) and m.track_running_stats]
        if not layers:
            raise InputError(worded("re_estimate", "a model with BatchNorm statistics", "one without", "leave it out"))
        for layer in layers:
            layer.train()
            layer.momentum = None  # a plain mean over the batches

    @property
    def source(self) -> tuple[Sequence[Any], Loss]:
        """The data, and what runs the model."""
        return self._batches, self._loss

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
