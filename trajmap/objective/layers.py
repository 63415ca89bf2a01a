"""Layers that compute what the library's do, in less time on a CPU; only in a private copy of a model."""

import torch

from trajmap._validation import worded
from trajmap.errors import InputError

__all__ = ["OneDnnLinear", "with_onednn", "with_pairwise_pooling"]


class _PairwiseMaxPool(torch.nn.Module):
    """Non-overlapping 2 × 2 max-pooling as maxima of slices: several times faster in the default layout."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool the last two axes."""
        height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
        x = torch.maximum(x[..., 0:height:2, :], x[..., 1:height:2, :])
        return torch.maximum(x[..., 0:width:2], x[..., 1:width:2])


class OneDnnLinear(torch.nn.Module):
    """A linear layer by oneDNN's product; the parameters are the layer's own."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply and add."""
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return out


def with_pairwise_pooling(module: torch.nn.Module) -> None:
    """Replace plain 2 × 2 max-pooling, in place."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.MaxPool2d and _plain(child):
                setattr(parent, name, _PairwiseMaxPool())


def with_onednn(module: torch.nn.Module) -> None:
    """Replace linear layers, in place; parameters keep their names.

    Raises
    ------
    InputError
        If this build of torch lacks the product, or no layer could use it.
    """
    # the product is not a documented name of torch's: where it is gone, this way is not taken
    present = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not present or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        raise InputError(worded("strategy", "a torch with oneDNN's linear product", "one without"))
    replaced = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear and child.weight.dtype == torch.float32 and not child.weight.is_cuda:
                setattr(parent, name, OneDnnLinear(child))
                replaced += 1
    if not replaced:
        raise InputError(worded("strategy", "linear layers in float32 on a CPU", "none"))


def _plain(pool: torch.nn.MaxPool2d) -> bool:
    two = {2, (2, 2)}
    simple = pool.padding in {0, (0, 0)} and pool.dilation in {1, (1, 1)}
    return pool.kernel_size in two and pool.stride in two and simple and not (pool.ceil_mode or pool.return_indices)
