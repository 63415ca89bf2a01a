"""Hessian products over several processes: data distributed over ranks, or sharded parameters."""

import contextlib
import itertools
from collections.abc import Generator, Iterable
from typing import Any

import torch
import torch.distributed as dist

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.objective.batch_copies import fixed_batches
from trajmap.objective.differences import DifferenceHessian
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.losses import Loss
from trajmap.objective.operator import Operator

__all__ = ["RankMean", "ShardedGradient", "sharded_hessian"]


class RankMean(Operator):
    """The mean over all ranks of each rank's operator on its own data.

    Every rank must multiply the same vector, as in Lanczos with one seed; each then has the same result.

    Parameters
    ----------
    operator : Operator
        This rank's operator, for example ``objective.hessian(theta)`` on its batches.
    samples : int
        Number of this rank's samples, by which the ranks are weighted.
    """

    def __init__(self, operator: Operator, samples: int) -> None:
        super().__init__(operator.multiply(_zeros(operator)), operator.size)
        self._operator = operator
        total = torch.tensor(float(samples), device=operator.device)
        dist.all_reduce(total)
        self._share = samples / float(total)

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of shape (P,)."""
        found = self._operator.multiply(vector).mul_(self._share)
        dist.all_reduce(found)
        return found


class ShardedGradient:
    """Gradient of a model whose parameters are DTensors, sharded along their first dimension, as FSDP2 makes them.

    Points and gradients are full vectors, equal on every rank; each rank writes only its own shard. All ranks must call
    together, each with its own batches. Afterwards parameters, gradients and modes are unchanged.

    Parameters
    ----------
    model : torch.nn.Module
        The live model.
    loss : callable
        ``loss(model, batch)``, the mean over the batch.
    batches : iterable
        This rank's data.

    Raises
    ------
    InputError
        If a parameter is sharded in another way.
    """

    def __init__(self, model: torch.nn.Module, loss: Loss, batches: Iterable[Any]) -> None:
        self._model, self._loss = model, loss
        self._batches = fixed_batches(batches)
        self._parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self._places = [_rows(name, p) for name, p in self._parameters]
        self._sizes = [p.numel() for _, p in self._parameters]
        counts = [1 if batch.size is None else batch.size for batch in self._batches.kept]
        total = torch.tensor(float(sum(counts)), device=self._local(0).device)
        dist.all_reduce(total)
        # the backward pass of a sharded model averages over ranks
        self._weights = [count * dist.get_world_size() / float(total) for count in counts]

    def _local(self, i: int) -> torch.Tensor:
        parameter: Any = self._parameters[i][1]
        return parameter.to_local().detach() if hasattr(parameter, "placements") else parameter.detach()

    @property
    def theta(self) -> torch.Tensor:
        """The whole present point, shape (P,), gathered from all ranks."""
        return torch.cat([_whole(p.detach()).reshape(-1) for _, p in self._parameters])

    def __call__(self, point: torch.Tensor) -> torch.Tensor:
        """Gradient at a point, both of shape (P,)."""
        with self._as_before(), isolated_rng(), torch.enable_grad():
            for i, piece in enumerate(torch.split(point, self._sizes)):
                own, rows = self._local(i), self._places[i]
                own.copy_(piece.view(self._parameters[i][1].shape)[rows])
            for weight, batch in zip(self._weights, self._batches, strict=True):
                (self._loss(self._model, batch) * weight).backward()
            grads = [torch.zeros_like(p) if p.grad is None else p.grad for _, p in self._parameters]
            return torch.cat([_whole(grad).reshape(-1) for grad in grads])

    @contextlib.contextmanager
    def _as_before(self) -> Generator[None, None, None]:
        kept = [self._local(i).clone() for i in range(len(self._parameters))]
        grads = [p.grad for _, p in self._parameters]
        modes = [(module, module.training) for module in self._model.modules()]
        self._model.eval()
        for _, parameter in self._parameters:
            parameter.grad = None
        try:
            yield
        finally:
            for i, values in enumerate(kept):
                self._local(i).copy_(values)
            for (_, parameter), grad in zip(self._parameters, grads, strict=True):
                parameter.grad = grad
            for module, training in modes:
                module.training = training


def sharded_hessian(model: torch.nn.Module, loss: Loss, batches: Iterable[Any]) -> DifferenceHessian:
    """Hessian at the present point of a sharded model, by differences of gradients.

    Parameters
    ----------
    model : torch.nn.Module
        A model after ``torch.distributed.fsdp.fully_shard``.
    loss : callable
        ``loss(model, batch)``, the mean over the batch.
    batches : iterable
        This rank's data.

    Returns
    -------
    DifferenceHessian
        Its products are equal on every rank; all ranks must call it together.
    """
    gradient = ShardedGradient(model, loss, batches)
    return DifferenceHessian(gradient, gradient.theta)


def _zeros(operator: Operator) -> torch.Tensor:
    return torch.zeros(operator.size, dtype=operator.dtype, device=operator.device)


def _whole(tensor: Any) -> torch.Tensor:
    return tensor.full_tensor() if hasattr(tensor, "placements") else tensor


def _rows(name: str, parameter: Any) -> slice:
    """Rows of a parameter that this rank holds."""
    if not hasattr(parameter, "placements"):
        return slice(None)
    mesh, placements = parameter.device_mesh, parameter.placements
    if mesh.ndim != 1 or not (placements[0].is_shard(0) or placements[0].is_replicate()):
        raise InputError(worded(name, "shards along the first dimension of a one-dimensional mesh", f"{placements}"))
    if placements[0].is_replicate():
        return slice(None)
    parts = [len(part) for part in torch.empty(parameter.shape[0], 0).chunk(mesh.size())]
    ends = list(itertools.accumulate(parts + [0] * (mesh.size() - len(parts)), initial=0))
    rank = mesh.get_local_rank()
    return slice(ends[rank], ends[rank + 1])
