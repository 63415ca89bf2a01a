"""The networks of the autoencoder: created and trained in torch, stored and run as arrays."""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trajmap._validation import Array

if TYPE_CHECKING:
    import torch

__all__ = ["Half", "Layers", "forward", "minimise"]

Layers = tuple[tuple[Array, Array], ...]


class Half:
    """A linear map plus a tanh network whose last layer starts at a tenth of the usual size."""

    def __init__(self, widths: list[int], linear: Array) -> None:
        import torch

        self.linear = torch.tensor(linear, dtype=torch.float32, requires_grad=True)
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        for fan_in, fan_out in itertools.pairwise(widths) if len(widths) > 2 else ():
            weight = torch.randn(fan_in, fan_out) / np.sqrt(fan_in)
            self.layers.append((weight.requires_grad_(), torch.zeros(fan_out, requires_grad=True)))
        if self.layers:
            self.layers[-1][0].data.mul_(0.1)

    @property
    def tensors(self) -> "list[torch.Tensor]":
        return [self.linear, *itertools.chain.from_iterable(self.layers)]

    def __call__(self, x: "torch.Tensor") -> "torch.Tensor":
        out = x @ self.linear
        for i, (weight, bias) in enumerate(self.layers):
            x = x @ weight + bias
            x = x.tanh() if i < len(self.layers) - 1 else x
        return out + x if self.layers else out

    def arrays(self) -> tuple[Array, Layers]:
        def array(tensor: "torch.Tensor") -> Array:
            return np.ascontiguousarray(tensor.detach().numpy().astype(np.float64))

        return array(self.linear), tuple((array(weight), array(bias)) for weight, bias in self.layers)


def minimise(
    loss: "Callable[[], torch.Tensor]",
    halves: Sequence[Half],
    max_iter: int,
    lr: float,
    *,
    judge: Callable[[], float] | None = None,
) -> tuple[list[float], list[float]]:
    """Run Adam with a cosine decay; return the loss before each step, and the judge's value there.

    With a judge, the tensors end at the step with its best value.

    Returns
    -------
    losses, judgements : list of float
        One per step.
    """
    import torch

    tensors = [tensor for half in halves for tensor in half.tensors]
    optimizer = torch.optim.Adam(tensors, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max_iter)
    curve, judged = [], []
    best, kept = float("inf"), [tensor.detach().clone() for tensor in tensors]
    for _ in range(max_iter):
        if judge is not None:
            with torch.no_grad():
                judged.append(judge())
            if judged[-1] < best:
                best, kept = judged[-1], [tensor.detach().clone() for tensor in tensors]
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        schedule.step()
        curve.append(float(value.detach()))
    if judge is not None:
        for tensor, before in zip(tensors, kept, strict=True):
            tensor.data.copy_(before)
    return curve, judged


def forward(x: Array, linear: Array, layers: Layers) -> Array:
    """Run the encoder or decoder in float64."""
    out: Array = x @ linear
    for i, (weight, bias) in enumerate(layers):
        x = x @ weight + bias
        x = np.tanh(x) if i < len(layers) - 1 else x
    return out + x if layers else out
