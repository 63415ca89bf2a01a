"""The loss of each sample, for an objective that is a mean over samples."""

import numpy as np
import torch

from trajmap._validation import Array, check_array, worded
from trajmap.errors import InputError
from trajmap.objective.batches import Batch
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective
from trajmap.objective.operator import as_array
from trajmap.objective.splitting import cut
from trajmap.objective.strategy import Parts

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
        If the loss is not a mean over samples, for example a ranking loss or a sum with a penalty.

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
    # float32 sums in another order differ by 1e-6
    if not np.allclose(means, wholes, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise InputError(worded("objective", "a loss that is the mean of its samples' losses",
                                f"{wholes[0]:.6g} but a mean of {means[0]:.6g}"))  # fmt: skip
    return losses


def losses_by_sample(objective: Objective, point: torch.Tensor) -> torch.Tensor:
    """Evaluate the loss of every sample at a point that may carry derivatives, all samples at once if possible.

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
    return torch.cat([_of_batch(parts, point, batch) for batch in parts.batches.kept])


def _of_batch(parts: Parts, point: torch.Tensor, batch: Batch) -> torch.Tensor:
    size = batch.size
    if size is None:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in batch.leaves) or "no tensor"
        raise InputError(worded("objective", "batches whose tensors all have samples along their first axis", shapes))

    def one(*samples: torch.Tensor) -> torch.Tensor:
        return parts.loss_at(point, batch.like([leaf[None] for leaf in samples]))

    try:
        found: torch.Tensor = torch.func.vmap(one)(*batch.samples)
    except (RuntimeError, ValueError):
        # one sample at a time for arrays, and for a loss with value-dependent control flow or its own derivatives
        found = torch.stack([parts.loss_at(point, cut(batch, i, i + 1).fresh()) for i in range(size)])
    return found
