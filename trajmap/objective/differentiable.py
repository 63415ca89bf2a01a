"""The loss as a differentiable function of a tensor θ, for optimisation over parameter space."""

import torch

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
    parts = objective.parts
    losses = [weight * parts.loss_at(point, batch) for weight, batch in parts.weighted]
    return torch.stack(losses).sum()
