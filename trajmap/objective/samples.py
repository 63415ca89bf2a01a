"""The loss of each sample, where an objective is a mean over samples."""

from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, worded
from trajmap.errors import InputError
from trajmap.objective.batches import map_tensors, sized_tensors
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective
from trajmap.objective.operator import as_array
from trajmap.objective.strategy import Parts, split_batch

__all__ = ["losses_by_sample", "sample_losses"]


def sample_losses(objective: Objective, thetas: Array) -> Array:
    """Evaluate the loss of every sample at some points.

    Parameters
    ----------
    objective : Objective
        A loss that is a mean over the samples of its batches.
    thetas : array-like, shape (n, P)
        The points.

    Returns
    -------
    numpy.ndarray, shape (n, N)
        Losses, samples in the order of the batches, float64.

    Raises
    ------
    InputError
        If the loss is no mean over samples, as a ranking loss or one with a penalty in a sum.

    Examples
    --------
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> loss = Objective(model, lambda m, x: m(x).mean(), [torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0]])])
    >>> sample_losses(loss, [[2.0]]).tolist()
    [[2.0, 4.0, 6.0]]
    """
    points = check_array("thetas", thetas, (None, objective.size))
    with isolated_rng(), torch.set_grad_enabled(objective.parts.needs_graph):
        found = [as_array(losses_by_sample(objective, objective.tensor(theta))) for theta in points]
    losses = np.array(found, dtype=np.float64)
    means, wholes = losses[:1].mean(axis=1), objective.values(points[:1])
    # float32 sums of another order differ by 1e-6
    if not np.allclose(means, wholes, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise InputError(worded("objective", "a loss that is the mean of its samples' losses",
                                f"{wholes[0]:.6g} where the samples' mean is {means[0]:.6g}"))  # fmt: skip
    return losses


def losses_by_sample(objective: Objective, point: torch.Tensor) -> torch.Tensor:
    """Evaluate the loss of every sample at a point that may carry derivatives, all samples at once where that works.

    Parameters
    ----------
    objective : Objective
        The loss.
    point : torch.Tensor, shape (P,)
        θ.

    Returns
    -------
    torch.Tensor, shape (N,)
        Losses.
    """
    parts = objective.parts
    return torch.cat([_of_batch(parts, point, batch) for batch in parts.batches])


def _of_batch(parts: Parts, point: torch.Tensor, batch: Any) -> torch.Tensor:
    tensors = sized_tensors(batch)
    if not tensors:
        raise InputError(worded("objective", "batches of tensors with samples along their first axis", "none"))
    n = len(tensors[0])
    sized = [tensor for tensor in tensors if len(tensor) == n]

    def one(*samples: torch.Tensor) -> torch.Tensor:
        left = iter(samples)

        def place(tensor: torch.Tensor) -> torch.Tensor:
            return next(left)[None] if tensor.ndim and len(tensor) == n else tensor

        return parts.loss_at(point, map_tensors(batch, place))

    try:
        found: torch.Tensor = torch.func.vmap(one)(*sized)
    except RuntimeError:
        # a loss with control flow by values, or derivatives of its own: one sample at a time
        found = torch.stack([parts.loss_at(point, piece) for _, piece in split_batch(batch, 1)])
    return found
