"""How an objective is evaluated at many points: equal values by different computations."""

import dataclasses
from collections.abc import Callable, Iterator
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
    """Choices that change the speed of an evaluation, and its value only by rounding.

    Parameters
    ----------
    in_place : bool
        Each point is written into the model's own buffer. This is always done; the option remains for older settings.
    cheaper : bool
        Replace cross-entropy and non-overlapping max-pooling by equal operations that are faster on a CPU.
    onednn : bool
        Run linear layers with oneDNN's product in float32, which is twice as fast as the BLAS on some CPUs.
    channels_last : bool
        Keep images with their channels last.
    batch_size : int
        Samples per forward pass, so that activations stay in the cache; 0 for whole batches.
    planes : bool
        On a flat chart, combine the first layers' outputs, computed once at the origin and along each direction.
    points : int
        Points per forward pass, by ``torch.func.vmap``. For accelerators; on a CPU more than 1 is slower.
    bfloat16 : bool
        Run the forward pass in bfloat16 with torch's autocast. It changes the values, so it is never chosen
        automatically, and its error is measured.
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
    """The parts of an objective, for other ways to evaluate it; they must not be changed.

    Parameters
    ----------
    twin : Twin
        The private copy.
    functions : dict of str to callable
        ``loss`` and the metrics.
    batches : Batches
        The data; reading a batch gives a fresh one.
    weighing : Weighing
        Weights of the batches and of their pieces.
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
        """Weights of the batches."""
        return self.weighing.weights

    @property
    def weighted(self) -> Iterator[tuple[float, Any]]:
        """Each batch with its weight."""
        return zip(self.weights, self.batches, strict=True)

    def terms(self) -> Iterator[torch.Tensor]:
        """Weighted loss of each batch where the twin is."""
        for j, weight in enumerate(self.weights):
            term = loss_value(self.functions["loss"](self.twin.module, self.batches.fresh(j, "gradient"))) * weight
            self.twin.state.restore()
            yield term

    @property
    def re_estimates(self) -> bool:
        """Whether BatchNorm's statistics are recomputed at each point."""
        return self.twin.statistics is not None

    def call_at(self, function: Callable[[Any, Any], Any], point: torch.Tensor, batch: Any) -> Any:
        """Call ``function(model, batch)`` with the parameters of a tensor that may carry derivatives."""
        twin = self.twin
        if twin.statistics is not None:
            twin.visit(lambda flat: flat.copy_(point.detach()))
        # a forward pass that writes to a buffer writes to a clone, so that evaluations are independent
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
    """Convert the result of a loss to a scalar tensor, or raise InputError."""
    if not isinstance(found, torch.Tensor) or found.numel() != 1:
        got = f"{tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise InputError(worded("loss", "a tensor with one entry, the mean over the batch", got))
    return found.reshape(())


def cheaper_losses(functions: dict[str, Loss]) -> dict[str, Loss]:
    """Replace known losses by equal but cheaper ones."""
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
    # −100 marks ignored targets, which gather cannot handle, so the library's own function is used
    if indices and bool((target >= 0).all()):
        # a quarter of the time of log-softmax and its loss on a CPU
        return (logits.logsumexp(dim=1) - logits.gather(1, target[:, None]).squeeze(1)).mean()
    return torch.nn.functional.cross_entropy(logits, target)
