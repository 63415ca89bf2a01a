"""The weight of each batch in the loss: given by the user, or inferred, or chosen with a warning."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trajmap._validation import check_array, worded
from trajmap.errors import InputError, WeightsWarning
from trajmap.objective.batches import Batch, Batches, fixed_leaves
from trajmap.objective.losses import Loss
from trajmap.objective.rules import Rule, by_samples, candidates, known_rule, shares_of
from trajmap.objective.trials import SUM, Run, tried

__all__ = ["Weighing", "weigh", "without_idle"]

_REMEDY = ('weights=[…], one number per batch, or weights=lambda batch: …, the number of samples, tokens or items '
           'over which the loss of a batch is a mean; reduction="sum" if it is a sum')  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Weighing:
    """Weights of batches, and the rule that gave them.

    Parameters
    ----------
    weights : list of float
        One per batch, with sum one; all one if the loss is a sum.
    rule : Rule
        The rule for the weight of a piece of a batch.
    total : bool
        Whether the loss of a batch is a sum, and the whole loss the sum over batches.
    """

    weights: list[float]
    rule: Rule
    total: bool = False


def weigh(
    batches: Batches,
    loss: Loss,
    *,
    weights: Sequence[float] | Callable[[Any], Any] | None = None,
    reduction: str = "mean",
    run: Run | None = None,
    tolerance: float = 1e-5,
) -> Weighing:
    """Determine the weight of each batch.

    Parameters
    ----------
    batches : Batches
        The data.
    loss : callable
        The loss; for a known criterion, the items of its mean are known.
    weights : sequence of float or callable, optional
        The user's choice.
    reduction : str
        ``"mean"`` or ``"sum"``: the reduction in a batch.
    run : callable, optional
        ``run(batch)`` evaluates the loss at some point, to check a rule on joined batches.
    tolerance : float
        Relative difference of two evaluations of a loss that is still rounding; about 1e-6 in float32.

    Returns
    -------
    Weighing
        The weights.

    Raises
    ------
    InputError
        If `weights` are not numbers ≥ 0, one per batch, or `reduction` is unknown.

    Warns
    -----
    WeightsWarning
        If the weights are uncertain.

    Examples
    --------
    >>> import torch
    >>> from trajmap.objective.batch_copies import fixed_batches
    >>> weigh(fixed_batches(torch.ones(4, 2).split(3)), lambda model, x: model(x).mean()).weights
    [0.75, 0.25]
    """
    if reduction not in {"mean", "sum"}:
        raise InputError(worded("reduction", "'mean' or 'sum'", reduction))
    if reduction == "sum":
        if weights is not None:
            raise InputError(worded("weights", "none with reduction='sum'", "some", "omit one of them"))
        return Weighing([1.0] * len(batches), by_samples(), total=True)
    if weights is not None:
        return _as_said(batches, weights)
    if len(batches) == 1:
        return Weighing([1.0], known_rule(loss) or _only_rule(batches.kept[0]))
    known = known_rule(loss)
    counts = None if known is None else known.measures(batches.kept)
    if known is not None and counts is not None and counts.sum() > 0:
        return Weighing(shares_of(counts), known)
    constant = fixed_leaves(batches.kept) if run is not None else frozenset()
    if constant:
        marked = Batches([batch.with_fixed(constant) for batch in batches.kept])
        found = _inferred(marked, run, tolerance, quiet=True)
        if found is not None:
            batches.kept = marked.kept
            return found
    found = _inferred(batches, run, tolerance)
    assert found is not None
    return found


def _as_said(batches: Batches, weights: Sequence[float] | Callable[[Any], Any]) -> Weighing:
    if callable(weights):
        rule = Rule("weights", functools.partial(_of_user, weights))
        found = rule.measures(batches.kept)
        assert found is not None
    else:
        rule, found = by_samples(), check_array("weights", weights, (len(batches),), dtype=np.float64)
    if not np.isfinite(found).all() or (found < 0).any() or not found.sum():
        raise InputError(worded("weights", "finite numbers ≥ 0 with a sum > 0", f"{found.tolist()[:8]}"))
    return Weighing(shares_of(found), rule)


def _of_user(function: Callable[[Any], Any], batch: Batch) -> float:
    found = function(batch.fresh("weights"))
    try:
        return float(found)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(worded("weights", "a function that returns one number for a batch", found)) from error


def _only_rule(batch: Batch) -> Rule:
    """Weigh pieces of the only batch by its counted items, if they are unique."""
    counted = [rule for rule in candidates([batch]) if rule.name == "labelled tokens"]
    return counted[0] if len(counted) == 1 else by_samples()


def _inferred(batches: Batches, run: Run | None, tolerance: float, *, quiet: bool = False) -> Weighing | None:
    """Return the certain weights; else warn, or return None if `quiet`."""
    counts = [(rule, rule.measures(batches.kept)) for rule in candidates(batches.kept)]
    rules = [(rule, shares_of(count)) for rule, count in counts if count is not None]
    shape = _alike_in_shape(batches.kept)
    strong = [pair for pair in rules if not pair[0].weak]
    samples = [pair for pair in strong if pair[0].name == "samples"]
    why = ""
    if run is not None and rules:
        found, why = tried(batches.kept, rules, run, shape=shape, tolerance=tolerance)
        if found is not None:
            return Weighing(*found[::-1])
    if quiet:
        return None
    # if all rules give equal weights, a loss of whole batches (contrastive, or a sequence along the first axis) is fine
    alike = not why or (why != SUM and bool(samples) and not np.ptp(samples[0][1]))
    if shape and strong == samples and alike:
        return Weighing(*samples[0][::-1])
    reason = why or "their sizes vary along other axes too"
    if not why and len(strong) > 1:
        reason = f"{' and '.join(rule.name for rule, _ in strong)} would weigh them differently"
    elif not samples:
        reason = "the tensors of a batch have different sizes"
    rule, shares = samples[0] if samples else (by_samples(), [1 / len(batches)] * len(batches))
    how = "by their numbers of samples" if samples else "alike"
    warnings.warn(f"weights: how much each of the {len(batches)} batches weighs is uncertain ({reason}); they are "
                  f"weighed {how}; repair: {_REMEDY}", WeightsWarning, stacklevel=4)  # fmt: skip
    return Weighing(shares, rule)


def _alike_in_shape(batches: list[Batch]) -> bool:
    """Whether batches differ only in their sizes."""
    shapes = {tuple((leaf.ndim, tuple(leaf.shape[1:]), leaf.dtype) for leaf in batch.leaves) for batch in batches}
    return len(shapes) == 1 and all(batch.size is not None for batch in batches)


def without_idle(batches: Batches, weighing: Weighing) -> tuple[Batches, Weighing]:
    """Omit batches of zero weight: their means, for example over no labelled token, are NaN."""
    pairs = [(batch, weight) for batch, weight in zip(batches.kept, weighing.weights, strict=True) if weight]
    if len(pairs) == len(batches):
        return batches, weighing
    return Batches([batch for batch, _ in pairs]), dataclasses.replace(weighing, weights=[w for _, w in pairs])
