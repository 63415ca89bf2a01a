"""Inputs for one run of a network: from an objective's data, or generated to fit the first layers."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from trajmap.objective.structure import map_tensors

__all__ = ["Forward", "forwards_of_batch", "made_up_forwards", "tensors_in"]

_CONVOLUTIONS = {torch.nn.Conv1d: 1, torch.nn.Conv2d: 2, torch.nn.Conv3d: 3,
                 torch.nn.ConvTranspose1d: 1, torch.nn.ConvTranspose2d: 2, torch.nn.ConvTranspose3d: 3}  # fmt: skip
_SIDES = (8, 28, 32, 16, 12, 64, 224, *range(4, 40))


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """Inputs of a network.

    Parameters
    ----------
    args : tuple
        By place.
    kwargs : dict
        By name.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)

    def fitted(self, network: torch.nn.Module) -> "Forward":
        """Copy the inputs to the network's device and dtype."""
        like = next(network.parameters())

        def fit(leaf: torch.Tensor) -> torch.Tensor:
            moved = leaf.detach().to(like.device, copy=True)
            return moved.to(like.dtype) if moved.is_floating_point() else moved

        return Forward(map_tensors(self.args, fit), map_tensors(self.kwargs, fit))

    def __call__(self, network: torch.nn.Module) -> Any:
        """Run the network."""
        return network(*self.args, **self.kwargs)


def forwards_of_batch(batch: Any, *, batch_size: int = 4) -> Iterator[Forward]:
    """List possible calls of a network on a batch, first with few of its samples.

    Parameters
    ----------
    batch : tensor, tuple, list, mapping or anything else
        A batch, or the inputs of a network.
    batch_size : int
        Number of samples to keep, if tensors have samples along their first axis.

    Yields
    ------
    Forward
        Inputs; some may not fit.
    """
    parts = list(batch.values()) if isinstance(batch, Mapping) else batch
    parts = list(parts) if isinstance(parts, (tuple, list)) else [parts]
    lengths = [len(part) for part in parts if isinstance(part, torch.Tensor) and part.ndim]
    n = lengths[0] if lengths else 0

    def few(tensor: torch.Tensor) -> torch.Tensor:
        return tensor[:batch_size] if tensor.ndim and len(tensor) == n else tensor

    for data in (map_tensors(batch, few), batch) if n > batch_size else (batch,):
        if isinstance(data, Mapping):
            yield Forward((), {str(key): value for key, value in data.items()})
        if isinstance(data, (tuple, list)) and data:
            yield Forward((data[0],))
            yield Forward(tuple(data[:-1]))
            yield Forward(tuple(data))
        yield Forward((data,))


def made_up_forwards(model: torch.nn.Module) -> Iterator[Forward]:
    """Generate inputs that fit one of the layers, drawn with a fixed seed.

    Parameters
    ----------
    model : torch.nn.Module
        The network.

    Yields
    ------
    Forward
        Inputs; most do not fit, because the layer is not the first one.
    """
    rng = torch.Generator().manual_seed(0)
    tried: set[tuple[int, ...]] = set()
    matrices = [tuple(p.shape) for p in model.parameters() if p.ndim == 2]
    for module in (*model.modules(), None):
        for shape in [(4, n) for matrix in matrices for n in matrix] if module is None else _shapes(module):
            if shape not in tried:
                tried.add(shape)
                yield Forward((torch.randn(shape, generator=rng),))
        if isinstance(module, torch.nn.Embedding):
            yield Forward((torch.randint(module.num_embeddings, (3, 5), generator=rng),))


def _shapes(module: torch.nn.Module) -> Iterator[tuple[int, ...]]:
    if isinstance(module, torch.nn.Linear):
        yield from ((4, module.in_features), (3, 5, module.in_features))
    elif isinstance(module, torch.nn.MultiheadAttention):
        yield (3, 5, module.embed_dim)
    elif isinstance(module, torch.nn.RNNBase):
        yield (3, 5, module.input_size)
    ndim = _CONVOLUTIONS.get(type(module), 0)
    for side in _SIDES if ndim else ():
        yield (4, int(module.in_channels), *[side] * ndim)  # type: ignore[arg-type]


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """Collect the tensors of nested tuples, lists and mappings."""
    found: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    map_tensors(tree, note)
    return found
