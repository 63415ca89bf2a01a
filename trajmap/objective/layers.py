"""Layers equal to the library's but faster on a CPU; used only in a private copy of a model."""

import torch

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["OneDnnLinear", "is_bare", "with_onednn", "with_pairwise_pooling", "with_second_derivatives"]


def is_bare(layer: torch.nn.Module) -> bool:
    """Return whether a layer only runs its class's forward: no hook acts on it, and no forward was set on it."""
    return not (layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer))


class _PairwiseMaxPool(torch.nn.Module):
    """Non-overlapping 2 × 2 max-pooling as maxima of slices; several times faster in the default layout."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool the last two axes."""
        height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
        x = torch.maximum(x[..., 0:height:2, :], x[..., 1:height:2, :])
        return torch.maximum(x[..., 0:width:2], x[..., 1:width:2])


class OneDnnLinear(torch.nn.Module):
    """A linear layer computed by oneDNN; the parameters are the layer's own."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply and add."""
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


class _Bag(torch.nn.EmbeddingBag):
    """Sums and means of embeddings by indexing, because the library's kernel can be differentiated only once."""

    def forward(
        self, input: torch.Tensor, offsets: torch.Tensor | None = None, per_sample_weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Look up and combine."""
        if not torch.is_grad_enabled() or self.mode == "max" or self.max_norm is not None:
            return super().forward(input, offsets, per_sample_weights)
        if input.ndim == 2:
            bags = torch.arange(len(input), device=input.device).repeat_interleave(input.shape[1])
            count, input = len(input), input.reshape(-1)
        else:
            assert offsets is not None
            count = len(offsets) - int(self.include_last_offset)
            ends = torch.arange(len(input), device=input.device)
            bags = torch.searchsorted(offsets[:count].contiguous(), ends, right=True) - 1
        counted = torch.ones_like(input, dtype=self.weight.dtype)
        if self.padding_idx is not None:
            counted = (input != self.padding_idx).to(counted)
        scale = counted if per_sample_weights is None else counted * per_sample_weights.reshape(-1)
        rows = torch.nn.functional.embedding(input, self.weight) * scale[:, None]
        out = self.weight.new_zeros(count, self.weight.shape[1]).index_add(0, bags, rows)
        if self.mode == "mean":
            sizes = self.weight.new_zeros(count).index_add(0, bags, counted)
            out = out / sizes.clamp(min=1)[:, None]
        return out


def with_second_derivatives(module: torch.nn.Module) -> None:
    """Give embeddings dense gradients that can be differentiated again, in place; values do not change."""
    for part in module.modules():
        if type(part) is torch.nn.EmbeddingBag:
            part.__class__ = _Bag
        if isinstance(part, (torch.nn.Embedding, torch.nn.EmbeddingBag)):
            part.sparse = False


def with_pairwise_pooling(module: torch.nn.Module) -> None:
    """Replace plain 2 × 2 max-pooling, in place."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.MaxPool2d and _plain(child) and is_bare(child):
                setattr(parent, name, _PairwiseMaxPool())


def with_onednn(module: torch.nn.Module) -> None:
    """Replace linear layers, in place; parameters keep their names.

    Raises
    ------
    InputError
        If this build of torch lacks the product, or no layer can use it.
    """
    # torch does not document the product: if it is missing, it is not used
    present = torch.backends.mkldnn.is_available()
    if not present or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        raise InputError(worded("strategy", "a torch with oneDNN's linear product", "one without"))
    replaced = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is not torch.nn.Linear or not is_bare(child):
                continue
            if child.weight.dtype == torch.float32 and not child.weight.is_cuda:
                setattr(parent, name, OneDnnLinear(child))
                replaced += 1
    if not replaced:
        raise InputError(worded("strategy", "linear layers in float32 on a CPU", "none"))


def _plain(pool: torch.nn.MaxPool2d) -> bool:
    two = {2, (2, 2)}
    simple = pool.padding in {0, (0, 0)} and pool.dilation in {1, (1, 1)}
    return pool.kernel_size in two and pool.stride in two and simple and not (pool.ceil_mode or pool.return_indices)
