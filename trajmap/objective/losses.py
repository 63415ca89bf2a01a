"""Ways to write ``loss(model, batch) -> scalar mean``."""

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["Loss", "accuracy", "supervised"]

Loss = Callable[[Any, Any], torch.Tensor]


def supervised(criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Loss:
    """Make a loss of batches ``(x, y)`` from a criterion of outputs and targets.

    Parameters
    ----------
    criterion : callable
        ``criterion(model(x), y)`` gives the mean over the batch, as ``torch.nn.functional.cross_entropy`` does.

    Returns
    -------
    callable
        ``loss(model, (x, y))``.

    Examples
    --------
    >>> loss = supervised(torch.nn.functional.mse_loss)
    >>> loss(lambda x: 2 * x, (torch.ones(3), torch.zeros(3))).item()
    4.0
    """

    def loss(model: Any, batch: Any) -> torch.Tensor:
        x, y = batch
        return criterion(model(x), y)

    return loss


def accuracy(model: Any, batch: Any) -> torch.Tensor:
    """Share of a batch ``(x, y)`` whose largest output is at the target class, in [0, 1], 1 best."""
    x, y = batch
    hits: torch.Tensor = (model(x).argmax(dim=-1) == y).double()
    return hits.mean()
