"""The loss as a differentiable function of a tensor θ, for those who optimise over parameter space."""

import torch

from trajmap.objective.model_at import ModelAt
from trajmap.objective.objective import Objective

__all__ = ["loss_at"]


def loss_at(objective: Objective, point: torch.Tensor) -> torch.Tensor:
    """Evaluate the loss at a point that may carry gradients.

    Parameters
    ----------
    objective : Objective
        The loss.
    point : torch.Tensor, shape (P,)
        θ, in the objective's dtype and on its device.

    Returns
    -------
    torch.Tensor
        Scalar, differentiable in `point` to any order.
    """
    parts, layout = objective.parts, objective.layout
    pieces = torch.split(point, list(layout.sizes))
    named = {name: piece.view(shape) for name, piece, shape in zip(layout.names, pieces, layout.shapes, strict=True)}
    model = ModelAt(parts.module, {**{name: b.clone() for name, b in parts.module.named_buffers()}, **named})
    losses = [
        weight * parts.functions["loss"](model, batch)
        for weight, batch in zip(parts.weights, parts.batches, strict=True)
    ]
    return torch.stack(losses).sum()
