"""Hessian products at one point, from stored graphs if memory allows."""

import contextlib
from collections.abc import Callable, Generator, Iterator

import torch

from trajmap.objective.isolation import isolated_rng
from trajmap.objective.kernels import twice_differentiable
from trajmap.objective.memory import used_memory
from trajmap.objective.operator import Operator
from trajmap.objective.twin import Twin

__all__ = ["HessianOperator"]

Terms = Callable[[], Iterator[torch.Tensor]]


class HessianOperator(Operator):
    """v ↦ Hv by Pearlmutter's product, at one point.

    The graph of the first backward pass is stored for all batches and differentiated again for each vector, at a cost
    of 1.1 to 1.4 gradients per vector. If the size of the first batch's graph shows that not all fit, each product
    rebuilds the graphs, one batch at a time, at a cost of 2 gradients or slightly more. Attention uses its plain
    kernel, because the fused ones cannot be differentiated twice.

    Parameters
    ----------
    twin : Twin
        The model.
    terms : callable
        ``terms()`` yields the weighted loss of each batch at the twin's point.
    point : torch.Tensor, shape (P,)
        θ; the operator keeps it.
    n_terms : int
        Batches.
    limit : float
        Bytes that stored graphs may take; −1 to store none.
    """

    def __init__(self, twin: Twin, terms: Terms, point: torch.Tensor, n_terms: int, *, limit: float) -> None:
        super().__init__(twin.flat, len(twin.flat))
        self._twin, self._terms, self._point = twin, terms, point
        kept: list[list[torch.Tensor]] = []
        self._kept: list[list[torch.Tensor]] | None = None
        with self._there():
            before = used_memory(point.device)
            for i, term in enumerate(terms()):
                gradient = self._gradient(term)
                if i == 0 and n_terms * (used_memory(point.device) - before) > limit:
                    return
                kept.append(gradient)
        self._kept = kept

    @property
    def constant(self) -> list[int]:
        """Parameters whose gradients do not depend on θ according to autograd; none if no graph is stored."""
        kept = self._kept or []
        leaves = range(len(self._twin.leaves)) if kept else ()
        return [i for i in leaves if not any(gradient[i].requires_grad for gradient in kept)]

    @property
    def keeps_graphs(self) -> bool:
        """Whether the graphs are stored."""
        return self._kept is not None

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of shape (P,)."""
        parts = self._twin.like_leaves(vector)
        total: torch.Tensor | None = None
        with self._there():
            graphs = self._kept if self._kept is not None else map(self._gradient, self._terms())
            for gradient in graphs:
                found = self._again(gradient, parts, keep=self._kept is not None)
                total = found if total is None else total.add_(found)
        assert total is not None
        return total

    @contextlib.contextmanager
    def _there(self) -> Generator[None, None, None]:
        """Work at the operator's own point, and restore all state afterwards."""
        with self._twin.lock, isolated_rng(), twice_differentiable(), self._twin.differentiable():
            self._twin.visit(lambda flat: flat.copy_(self._point), self)
            yield

    def _gradient(self, term: torch.Tensor) -> list[torch.Tensor]:
        leaves = self._twin.leaves
        return list(torch.autograd.grad(term, leaves, create_graph=True, allow_unused=True, materialize_grads=True))

    def _again(self, gradient: list[torch.Tensor], parts: list[torch.Tensor], *, keep: bool) -> torch.Tensor:
        # a gradient without a graph is constant in θ: its Hessian is zero
        pairs = [(g, v) for g, v in zip(gradient, parts, strict=True) if g.requires_grad]
        if not pairs:
            return torch.zeros_like(self._point)
        found = torch.autograd.grad(
            [g for g, _ in pairs], self._twin.leaves, [v for _, v in pairs],
            retain_graph=keep, allow_unused=True, materialize_grads=True,
        )  # fmt: skip
        return self._twin.join(found)
