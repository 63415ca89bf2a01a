"""BatchNorm's running statistics at a point: the mean over the data, as the point itself would have gathered them."""

import copy
from collections.abc import Mapping
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.objective.losses import Loss
from trajmap.objective.model_at import ModelAt

__all__ = ["re_estimated", "statistics_twin"]

_NORMS = torch.nn.modules.batchnorm._BatchNorm


def statistics_twin(module: torch.nn.Module) -> torch.nn.Module:
    """Copy a model so that its BatchNorm layers, and nothing else, gather statistics when it runs."""
    twin = copy.deepcopy(module)
    layers = [layer for layer in twin.modules() if isinstance(layer, _NORMS) and layer.track_running_stats]
    if not layers:
        raise InputError(worded("re_estimate", "a model with BatchNorm statistics", "one without", "leave it out"))
    for layer in layers:
        layer.train()
        layer.momentum = None  # a plain mean over the batches
    return twin


@torch.no_grad()
def re_estimated(
    twin: torch.nn.Module, tensors: Mapping[str, torch.Tensor], batches: list[Any], loss: Loss
) -> dict[str, torch.Tensor]:
    """Run the data through the twin at a point and give back the buffers it leaves."""
    buffers = {name: tensors[name].clone() for name, _ in twin.named_buffers()}
    for name, buffer in buffers.items():
        if name.rpartition(".")[2] in {"running_mean", "num_batches_tracked"}:
            buffer.zero_()
        elif name.rpartition(".")[2] == "running_var":
            buffer.fill_(1.0)
    model = ModelAt(twin, {**tensors, **buffers})
    for batch in batches:
        loss(model, batch)
    return buffers
