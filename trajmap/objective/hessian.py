"""Hessian products at one point, from kept graphs where memory allows."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from trajmap.objective.isolation import isolated_rng
from trajmap.objective.operator import Operator

__all__ = ["HessianOperator", "HessianProduct", "free_memory", "twice_differentiable", "used_memory"]

Terms = Callable[[torch.Tensor], Iterator[torch.Tensor]]


class HessianProduct:
    """v ↦ Hv by Pearlmutter's product.

    The graph of the first backward pass is kept for all batches and differentiated again for each vector, at 1.1 to 1.4
    gradients a vector. Where the first batch's graph says that all would not fit, each product builds its graphs
    anew, one batch at a time, at 2 gradients or a little more. Attention takes its plain kernel: the fused ones
    cannot be differentiated twice.

    Parameters
    ----------
    terms : callable
        ``terms(point)`` yields the weighted loss of each batch.
    point : torch.Tensor
        θ, a leaf that requires gradients.
    n_terms : int
        Batches.
    limit : float
        Bytes that kept graphs may hold; −1 for none at all.
    """

    def __init__(self, terms: Terms, point: torch.Tensor, n_terms: int, *, limit: float) -> None:
        self._terms, self._point = terms, point
        kept: list[torch.Tensor] = []
        self._kept: list[torch.Tensor] | None = None
        with twice_differentiable():
            before = used_memory(point.device)
            for i, term in enumerate(terms(point)):
                gradient = torch.autograd.grad(term, point, create_graph=True)[0]
                if i == 0 and n_terms * (used_memory(point.device) - before) > limit:
                    return
                kept.append(gradient)
        self._kept = kept

    @property
    def keeps_graphs(self) -> bool:
        """Whether the graphs are kept."""
        return self._kept is not None

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a vector."""
        total = torch.zeros_like(vector)
        if self._kept is not None:
            for gradient in self._kept:
                total += self._again(gradient, vector, keep=True)
            return total
        with twice_differentiable():
            for term in self._terms(self._point):
                gradient = torch.autograd.grad(term, self._point, create_graph=True)[0]
                total += self._again(gradient, vector, keep=False)
        return total

    def _again(self, gradient: torch.Tensor, vector: torch.Tensor, *, keep: bool) -> torch.Tensor:
        # a gradient without a graph is constant in θ: its Hessian is zero
        if not gradient.requires_grad:
            return torch.zeros_like(vector)
        return torch.autograd.grad(gradient, self._point, vector, retain_graph=keep, materialize_grads=True)[0]


class HessianOperator(Operator):
    """Hessian products as an operator.

    Parameters
    ----------
    product : HessianProduct
        The products.
    point : torch.Tensor
        θ.
    """

    def __init__(self, product: HessianProduct, point: torch.Tensor) -> None:
        super().__init__(point, len(point))
        self._product = product

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of shape (P,)."""
        with isolated_rng(), torch.enable_grad():
            return self._product(vector)


@contextlib.contextmanager
def twice_differentiable() -> Generator[None, None, None]:
    """Keep to attention kernels that have second derivatives.

    Yields
    ------
    None
    """
    with sdpa_kernel(SDPBackend.MATH):
        yield


def free_memory(device: torch.device) -> float:
    """Bytes that are free on a device; half of it is what kept graphs may take."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def used_memory(device: torch.device) -> float:
    """Bytes that this process holds on a device; 0 where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device))
    statm = Path("/proc/self/statm")
    return float(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0.0
