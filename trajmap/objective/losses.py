"""Ways to write ``loss(model, batch) -> scalar mean``."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["Loss", "Supervised", "accuracy", "supervised"]

Loss = Callable[[Any, Any], torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Supervised:
    """The loss made by `supervised`; it exposes its criterion, so that a faster equal one can replace it.

    Parameters
    ----------
    criterion : callable
        ``criterion(outputs, targets)``.
    """

    criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

    def __call__(self, model: Any, batch: Any) -> torch.Tensor:
        """Loss of a batch ``(x, y)``."""
        x, y = batch
        return self.criterion(model(x), y)


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
    return Supervised(criterion)


def accuracy(model: Any, batch: Any) -> torch.Tensor:
    """Share of a batch ``(x, y)`` whose largest output is at the target class, in [0, 1], 1 best."""
    x, y = batch
    hits: torch.Tensor = (model(x).argmax(dim=-1) == y).double()
    return hits.mean()
