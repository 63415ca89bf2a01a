"""The items over which the loss of a batch may be a mean: samples, labelled tokens, targets of a criterion."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array
from trajmap.objective.batches import Batch
from trajmap.objective.losses import Loss, Supervised

__all__ = ["Rule", "by_samples", "candidates", "known_rule", "labels_of", "shares_of"]

_LEFT_OUT = -100  # the label of targets that cross-entropy ignores
_ELEMENTWISE_MODULES = (
    torch.nn.MSELoss, torch.nn.L1Loss, torch.nn.SmoothL1Loss, torch.nn.HuberLoss, torch.nn.BCELoss,
    torch.nn.BCEWithLogitsLoss,
)  # fmt: skip
_ELEMENTWISE = (
    torch.nn.functional.mse_loss, torch.nn.functional.l1_loss, torch.nn.functional.smooth_l1_loss,
    torch.nn.functional.huber_loss, torch.nn.functional.binary_cross_entropy,
    torch.nn.functional.binary_cross_entropy_with_logits,
)  # fmt: skip
_CLASSES = (torch.nn.functional.cross_entropy, torch.nn.functional.nll_loss)


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule for the weight of a batch.

    Parameters
    ----------
    name : str
        The counted items.
    measure : callable
        ``measure(batch) -> float``, or None if it cannot be determined.
    weak : bool
        Its agreement with the loss is the only evidence for it.
    """

    name: str
    measure: Callable[[Batch], float | None]
    weak: bool = False

    def measures(self, batches: Sequence[Batch]) -> Array | None:
        """Weigh several batches; None if the weight of one cannot be determined."""
        found = [self.measure(batch) for batch in batches]
        return None if any(value is None for value in found) else np.array(found, dtype=np.float64)


def by_samples() -> Rule:
    """Count samples, along the first axis."""
    return Rule("samples", _samples)


def _samples(batch: Batch) -> float | None:
    size = batch.size
    return None if size is None else float(size)


def known_rule(loss: Loss) -> Rule | None:
    """Determine the items over which a loss made by `supervised` with a torch criterion is a mean.

    Parameters
    ----------
    loss : callable
        The loss.

    Returns
    -------
    Rule or None
        Counted targets by their classes' weights, or entries of the targets; None for another loss.

    Examples
    --------
    >>> known_rule(Supervised(torch.nn.functional.cross_entropy)).name
    'targets'
    """
    if not isinstance(loss, Supervised):
        return None
    criterion: Any = loss.criterion
    if criterion in _CLASSES:
        return Rule("targets", functools.partial(_targets, _LEFT_OUT, None))
    if type(criterion) in {torch.nn.CrossEntropyLoss, torch.nn.NLLLoss} and criterion.reduction == "mean":
        return Rule("targets", functools.partial(_targets, criterion.ignore_index, criterion.weight))
    plain = type(criterion) in _ELEMENTWISE_MODULES and criterion.reduction == "mean"
    return Rule("entries", _entries) if criterion in _ELEMENTWISE or plain else None


def _pair(batch: Batch) -> Any:
    value = batch.look()
    pair = isinstance(value, (tuple, list)) and len(value) == 2
    return value[1] if pair and isinstance(value[1], torch.Tensor) else None


def _targets(left_out: int, class_weights: torch.Tensor | None, batch: Batch) -> float | None:
    target = _pair(batch)
    if target is None:
        return None
    if target.is_floating_point():  # probabilities of classes: the mean over samples
        return float(len(target)) if target.ndim == 2 else None
    counted = target[target != left_out]
    if class_weights is None:
        return float(counted.numel())
    return float(class_weights.detach().to(counted.device)[counted].double().sum())


def _entries(batch: Batch) -> float | None:
    target = _pair(batch)
    return None if target is None else float(target.numel())


def candidates(batches: Sequence[Batch]) -> list[Rule]:
    """List the items over which a loss of such batches is often a mean.

    Parameters
    ----------
    batches : sequence of Batch
        The data.

    Returns
    -------
    list of Rule
        Samples first, if their number is certain; then labels other than −100, all of them or without the first of each
        row, as for next-token prediction; entries of a mask; and sums of sample weights. A rule that gives the same
        weights as an earlier one, up to a factor, is omitted.
    """
    rules = [by_samples()]
    labels = [labels_of(batch) for batch in batches]
    if all(label is not None for label in labels):
        rules += [Rule("labelled tokens", _labelled), Rule("labelled tokens but the first", _labelled_next)]
    lengths = {len(batch.leaves) for batch in batches}
    for k in range(lengths.pop() if len(lengths) == 1 else 0):
        rules += _of_leaf(k, [batch.leaves[k] for batch in batches])
    kept: list[Rule] = []
    seen: list[Array] = []
    for rule in rules:
        found = rule.measures(batches)
        if found is None or not found.sum():
            continue
        shares = found / found.sum()
        if len(batches) == 1 or not any(np.allclose(shares, other, rtol=1e-12, atol=0) for other in seen):
            kept.append(rule)
            seen.append(shares)
    return kept


def _of_leaf(k: int, leaves: list[Any]) -> list[Rule]:
    if not all(isinstance(leaf, torch.Tensor) and leaf.ndim and leaf.layout == torch.strided for leaf in leaves):
        return []
    if leaves[0].dtype == torch.bool:
        return [Rule("entries of a mask", functools.partial(_sum, k))]
    if leaves[0].dtype == torch.long and any(bool((leaf == _LEFT_OUT).any()) for leaf in leaves):
        return [Rule("targets other than −100", functools.partial(_counted, k, 0)),
                Rule("targets other than −100 but the first", functools.partial(_counted, k, 1))]  # fmt: skip
    if leaves[0].is_floating_point() and all(leaf.ndim <= 2 and bool((leaf >= 0).all()) for leaf in leaves):
        return [Rule("sums of weights", functools.partial(_sum, k), weak=True)]
    binary = not leaves[0].is_complex() and all(bool(((leaf == 0) | (leaf == 1)).all()) for leaf in leaves)
    return [Rule("entries of a mask", functools.partial(_sum, k), weak=True)] if binary else []


def _sum(k: int, batch: Batch) -> float:
    return float(batch.leaves[k].detach().double().sum())


def _counted(k: int, skip: int, batch: Batch) -> float:
    leaf = batch.leaves[k]
    return float((leaf[..., skip:] != _LEFT_OUT).sum())


def labels_of(batch: Batch) -> torch.Tensor | None:
    """Return the ``labels`` of a mapping, as used by models of Hugging Face."""
    value = batch.look()
    found = value.get("labels") if isinstance(value, Mapping) else None
    return found if isinstance(found, torch.Tensor) and found.ndim else None


def _labelled(batch: Batch) -> float | None:
    labels = labels_of(batch)
    return None if labels is None else float((labels != _LEFT_OUT).sum())


def _labelled_next(batch: Batch) -> float | None:
    labels = labels_of(batch)
    return None if labels is None else float((labels[..., 1:] != _LEFT_OUT).sum()) if labels.ndim > 1 else None


def shares_of(measures: Array) -> list[float]:
    """Normalise to the sum one."""
    return [float(share) for share in measures / measures.sum()]
