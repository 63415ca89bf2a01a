"""How an objective is evaluated at many points: the same values by different ways through the machine."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.objective.batches import Batches
from trajmap.objective.kernels import functional_kernels
from trajmap.objective.losses import Loss, Supervised
from trajmap.objective.model_at import call_at
from trajmap.objective.twin import Twin
from trajmap.objective.weights import Weighing

__all__ = ["PLAIN", "Parts", "Strategy", "cheaper_losses", "loss_value"]


@dataclasses.dataclass(frozen=True)
class Strategy:
    """Choices that change the speed of an evaluation, and its value by rounding only.

    Parameters
    ----------
    in_place : bool
        Each point is written into the model's own buffer. Always so; the name is accepted where older settings say it.
    cheaper : bool
        Replace cross-entropy and non-overlapping max-pooling by equal operations that cost less on a CPU.
    onednn : bool
        Run linear layers by oneDNN's product in float32, which on some CPUs is twice as fast as the BLAS.
    channels_last : bool
        Keep images with their channels last.
    batch_size : int
        Samples a forward pass, so that activations stay in the cache; 0 for whole batches.
    planes : bool
        On a flat chart, combine the first layers' outputs, computed once at the origin and along each direction.
    points : int
        Points a forward pass, by ``torch.func.vmap``: for accelerators; on a CPU it is slower than 1.
    bfloat16 : bool
        Run the forward in bfloat16 where torch's autocast does. It changes the values, so it is only taken when asked
        for, and its error is measured.
    """

    in_place: bool = True
    cheaper: bool = False
    onednn: bool = False
    channels_last: bool = False
    batch_size: int = 0
    planes: bool = False
    points: int = 1
    bfloat16: bool = False

    def __str__(self) -> str:
        words = [name.replace("_", " ") for name in ("cheaper", "onednn", "channels_last", "planes", "bfloat16")
                 if getattr(self, name)]  # fmt: skip
        words += [f"{self.batch_size} samples"] if self.batch_size else []
        words += [f"{self.points} points"] if self.points > 1 else []
        return ", ".join(words) or "plain"


PLAIN = Strategy()


@dataclasses.dataclass(frozen=True)
class Parts:
    """What an objective is made of, for those who evaluate it in their own way; nothing in it may be changed.

    Parameters
    ----------
    twin : Twin
        The private copy.
    functions : dict of str to callable
        ``loss`` and the metrics.
    batches : Batches
        The data; reading a batch gives a fresh one.
    weighing : Weighing
        Shares of the batches, and of their pieces.
    needs_graph : bool
        Whether the loss differentiates through the model.
    """

    twin: Twin
    functions: dict[str, Loss]
    batches: Batches
    weighing: Weighing
    needs_graph: bool

    @property
    def weights(self) -> list[float]:
        """Shares of the batches."""
        return self.weighing.weights

    @property
    def re_estimates(self) -> bool:
        """Whether BatchNorm's statistics are computed anew at each point."""
        return self.twin.statistics is not None

    def call_at(self, function: Callable[[Any, Any], Any], point: torch.Tensor, batch: Any) -> Any:
        """Call ``function(model, batch)`` with the parameters of a tensor that may carry derivatives."""
        twin = self.twin
        if twin.statistics is not None:
            twin.visit(lambda flat: flat.copy_(point.detach()))
        # a forward that writes to a buffer writes to a clone, so that no evaluation sees another's
        tensors = {name: buffer.clone() for name, buffer in twin.module.named_buffers()}
        parts = zip(twin.names, twin.like_leaves(point), strict=True)
        with functional_kernels(twin.module):
            found = call_at(twin.module, function, tensors | dict(parts), batch)
        twin.state.restore()
        return found

    def loss_at(self, point: torch.Tensor, batch: Any) -> torch.Tensor:
        """Loss of one batch at such a tensor."""
        return loss_value(self.call_at(self.functions["loss"], point, batch))


def loss_value(found: Any) -> torch.Tensor:
    """Give what a loss gave as a tensor without axes, or say what it should have given."""
    if not isinstance(found, torch.Tensor) or found.numel() != 1:
        got = f"{tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise InputError(worded("loss", "a tensor with one entry, the mean over the batch", got))
    return found.reshape(())


def cheaper_losses(functions: dict[str, Loss]) -> dict[str, Loss]:
    """Put cheaper equal losses in the place of those that are known."""
    return {name: _cheaper_loss(function) for name, function in functions.items()}


def _cheaper_loss(function: Loss) -> Loss:
    if not isinstance(function, Supervised):
        return function
    known = function.criterion is torch.nn.functional.cross_entropy or _is_default(function.criterion)
    return Supervised(_cross_entropy) if known else function


def _is_default(criterion: Any) -> bool:
    if type(criterion) is not torch.nn.CrossEntropyLoss:
        return False
    plain = criterion.weight is None and criterion.reduction == "mean" and criterion.label_smoothing == 0
    return bool(plain and criterion.ignore_index == -100)


def _cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    indices = logits.ndim == 2 and target.ndim == 1 and target.dtype == torch.long
    # −100 marks targets to leave out: the gather would refuse it, so the library's own function takes over
    if indices and bool((target >= 0).all()):
        # a quarter of the time of log-softmax and its loss on a CPU
        return (logits.logsumexp(dim=1) - logits.gather(1, target[:, None]).squeeze(1)).mean()
    return torch.nn.functional.cross_entropy(logits, target)
