"""How much each batch weighs in the loss: what the user says, or what is certain, or a warning."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, worded
from trajmap.errors import InputError, WeightsWarning
from trajmap.objective.batches import Batch, Batches, fixed_leaves
from trajmap.objective.losses import Loss
from trajmap.objective.rules import Rule, by_samples, candidates, known_rule, labels_of

__all__ = ["Weighing", "cut", "split_batches", "weigh", "without_idle"]

Run = Callable[[Batch], float]
_SUM = "the loss of batches taken together is the sum of theirs"
_REMEDY = ('weights=[…], one number a batch, or weights=lambda batch: …, the number of samples, tokens or whatever '
           'the loss of a batch is a mean over; reduction="sum" if it is a sum')  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Weighing:
    """Weights of batches, and the rule that gave them.

    Parameters
    ----------
    weights : list of float
        One a batch; they sum to one, or are all one for a sum.
    rule : Rule
        What weighs a piece of a batch.
    total : bool
        The loss of a batch is a sum: the whole is the sum of all.
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
) -> Weighing:
    """Find how much each batch weighs.

    Parameters
    ----------
    batches : Batches
        The data.
    loss : callable
        The loss; a criterion that is known says what it is a mean over.
    weights : sequence of float or callable, optional
        What the user says.
    reduction : str
        ``"mean"`` or ``"sum"``: what the loss of a batch is.
    run : callable, optional
        ``run(batch)`` evaluates the loss somewhere, to see whether a rule holds for batches taken together.

    Returns
    -------
    Weighing
        The weights.

    Raises
    ------
    InputError
        If `weights` are not numbers ≥ 0, one a batch, or `reduction` is neither word.

    Warns
    -----
    WeightsWarning
        If nothing certain is known.

    Examples
    --------
    >>> from trajmap.objective.batches import fixed_batches
    >>> weigh(fixed_batches(torch.ones(4, 2).split(3)), lambda model, x: model(x).mean()).weights
    [0.75, 0.25]
    """
    if reduction not in {"mean", "sum"}:
        raise InputError(worded("reduction", "'mean' or 'sum'", reduction))
    if reduction == "sum":
        if weights is not None:
            raise InputError(worded("weights", "none with reduction='sum'", "some", "leave one of them out"))
        return Weighing([1.0] * len(batches), by_samples(), total=True)
    if weights is not None:
        return _as_said(batches, weights)
    if len(batches) == 1:
        return Weighing([1.0], known_rule(loss) or _only_rule(batches.kept[0]))
    known = known_rule(loss)
    counts = None if known is None else known.measures(batches.kept)
    if known is not None and counts is not None and counts.sum() > 0:
        return Weighing(_shares(counts), known)
    constant = fixed_leaves(batches.kept) if run is not None else frozenset()
    if constant:
        marked = Batches([batch.with_fixed(constant) for batch in batches.kept])
        found = _inferred(marked, run, quiet=True)
        if found is not None:
            batches.kept = marked.kept
            return found
    found = _inferred(batches, run)
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
    return Weighing(_shares(found), rule)


def _of_user(function: Callable[[Any], Any], batch: Batch) -> float:
    found = function(batch.fresh("weights"))
    try:
        return float(found)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(worded("weights", "a function that gives one number for a batch", found)) from error


def _only_rule(batch: Batch) -> Rule:
    """Weigh pieces of the only batch by what is counted in it, where that is one thing."""
    counted = [rule for rule in candidates([batch]) if rule.name == "labelled tokens"]
    return counted[0] if len(counted) == 1 else by_samples()


def _inferred(batches: Batches, run: Run | None, *, quiet: bool = False) -> Weighing | None:
    """Take what is certain; else warn, or give None if `quiet`."""
    counts = [(rule, rule.measures(batches.kept)) for rule in candidates(batches.kept)]
    rules = [(rule, _shares(count)) for rule, count in counts if count is not None]
    shape = _alike_in_shape(batches.kept)
    strong = [pair for pair in rules if not pair[0].weak]
    samples = [pair for pair in strong if pair[0].name == "samples"]
    why = ""
    if run is not None and rules:
        found, why = _tried(batches.kept, rules, run, shape=shape)
        if found is not None:
            return Weighing(*found[::-1])
    if quiet:
        return None
    # where all weigh alike by any rule, a loss of whole batches (a contrast, a sequence along the first axis) is fine
    alike = not why or (why != _SUM and bool(samples) and not np.ptp(samples[0][1]))
    if shape and strong == samples and alike:
        return Weighing(*samples[0][::-1])
    reason = why or "their sizes vary along other axes too"
    if not why and len(strong) > 1:
        reason = f"{' and '.join(rule.name for rule, _ in strong)} would weigh them differently"
    elif not samples:
        reason = "sizes differ from tensor to tensor of a batch"
    rule, shares = samples[0] if samples else (by_samples(), [1 / len(batches)] * len(batches))
    how = "by their numbers of samples" if samples else "alike"
    warnings.warn(f"weights: how much each of the {len(batches)} batches weighs is not certain ({reason}); they are "
                  f"weighed {how}; repair: {_REMEDY}", WeightsWarning, stacklevel=4)  # fmt: skip
    return Weighing(shares, rule)


def _tried(
    batches: list[Batch], rules: list[tuple[Rule, list[float]]], run: Run, *, shape: bool
) -> tuple[tuple[Rule, list[float]] | None, str]:
    """Find the first rule by which the loss of batches taken together is the weighted mean of theirs.

    Where batches cannot be taken together each is taken apart: that cannot tell samples from their elements, so that
    then samples themselves are certain only with one label each.

    Returns
    -------
    found : tuple or None
        The rule and its shares; None if none holds, or none could be tried.
    why : str
        What speaks against all; empty where nothing was tried.
    """
    trials = []
    for whole, parts in _joined(batches, rules) if shape else _halved(batches, rules):
        try:
            losses = [run(batch) for batch in (whole, *parts)]
        except (RuntimeError, ValueError, IndexError, TypeError, KeyError, AssertionError):
            return None, ""  # a loss that takes no other batches than these
        if np.isfinite(losses).all():
            trials.append((losses, parts))
    if not trials:
        return None, ""
    agree = [(rule, shares) for rule, shares in rules if all(_holds(rule, *trial) for trial in trials)]
    if not agree:
        total = all(_close(losses[0], sum(losses[1:])) for losses, _ in trials)
        return None, _SUM if total else "the loss of batches taken together is no weighted mean of theirs"
    labels = [labels_of(batch) for batch in batches]
    single = all(label is not None and label.ndim == 1 for label in labels)
    told = shape or single or all(rule.name != "samples" for rule, _ in agree)
    return (agree[0] if told else None), ""


def _holds(rule: Rule, losses: list[float], parts: list[Batch]) -> bool:
    found = rule.measures(parts)
    if found is None or not found.sum():
        return False
    return _close(losses[0], float(np.dot(_shares(found), losses[1:])), max(map(abs, losses)))


def _close(value: float, expected: float, scale: float | None = None) -> bool:
    # what float32 gives for other sizes of a batch differs by some 1e-6
    return bool(abs(value - expected) <= 1e-5 * (scale if scale is not None else max(abs(value), abs(expected))))


def _joined(batches: list[Batch], rules: list[tuple[Rule, list[float]]]) -> list[tuple[Batch, list[Batch]]]:
    """Halves of two batches taken together: a pair of other sizes, and pairs on which the rules differ most."""
    first = np.array(rules[0][1])
    pairs = [(int(first.argmin()), int(first.argmax()))]
    with np.errstate(divide="ignore", invalid="ignore"):
        for _, shares in rules[1:4]:
            ratio = np.nan_to_num(np.array(shares) / first)
            pairs.append((int(ratio.argmin()), int(ratio.argmax())))
    chosen = dict.fromkeys(pair if pair[0] != pair[1] else (0, len(batches) - 1) for pair in pairs)
    found = []
    for i, j in chosen:
        parts = [_every_other(batch, 0) for batch in (batches[i], batches[j])]
        together = [_together(*leaves) for leaves in zip(parts[0].samples, parts[1].samples, strict=True)]
        found.append((parts[0].with_samples(together), parts))
    return found


def _halved(batches: list[Batch], rules: list[tuple[Rule, list[float]]]) -> list[tuple[Batch, list[Batch]]]:
    """Batches taken apart, the largest and those of which the rules say other things."""
    chosen = dict.fromkeys(int(np.argmax(shares)) for _, shares in rules[:4])
    found = []
    for batch in (batches[j] for j in chosen):
        size = batch.size
        if size is not None and size > 1:
            found.append((batch, [_every_other(batch, 0), _every_other(batch, 1)]))
    return found


def _every_other(batch: Batch, first: int) -> Batch:
    """Take half of the samples, from all over a batch that may be in some order."""
    halves = [leaf[first::2] for leaf in batch.samples]
    return batch.with_samples([half.clone() if isinstance(half, torch.Tensor) else half.copy() for half in halves])


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Take some samples of a batch whose size is certain."""
    return batch.with_samples([leaf[start:stop] for leaf in batch.samples])


def _together(one: Any, other: Any) -> Any:
    return torch.cat([one, other]) if isinstance(one, torch.Tensor) else np.concatenate([one, other])


def _alike_in_shape(batches: list[Batch]) -> bool:
    """Whether batches differ in nothing but their sizes."""
    shapes = {tuple((leaf.ndim, tuple(leaf.shape[1:]), leaf.dtype) for leaf in batch.leaves) for batch in batches}
    return len(shapes) == 1 and all(batch.size is not None for batch in batches)


def _shares(found: Array) -> list[float]:
    return [float(share) for share in found / found.sum()]


def split_batches(
    batches: Batches, weighing: Weighing, samples: int, *, strict: bool = True
) -> tuple[Batches, list[float]]:
    """Split batches into pieces of some samples each.

    Parameters
    ----------
    batches : Batches
        The data.
    weighing : Weighing
        Their weights; by its rule a piece has its share.
    samples : int
        Samples a piece; 0 for whole batches.
    strict : bool
        Refuse batches whose sizes are not certain, instead of leaving them whole.

    Returns
    -------
    pieces : Batches
        In order.
    weights : list of float
        Of each; they sum to what the batches' do, or are all one for a sum.

    Raises
    ------
    InputError
        If sizes are not certain.
    """
    kept: list[Batch] = []
    weights: list[float] = []
    for weight, batch in zip(weighing.weights, batches.kept, strict=True):
        pieces = _pieces(batch, samples, strict=strict)
        measures = None if len(pieces) == 1 else weighing.rule.measures(pieces)
        if len(pieces) > 1 and measures is None:
            measures = np.array([piece.size for piece in pieces], dtype=float)
        kept += pieces
        if weighing.total or measures is None:
            weights += [weight] * len(pieces)
        else:
            weights += [weight * share for share in _shares(measures)]
    return Batches(kept), weights


def _pieces(batch: Batch, samples: int, *, strict: bool) -> list[Batch]:
    size = batch.size
    if not samples or (size is not None and size <= samples):
        return [batch]
    if size is None:
        if not strict:
            return [batch]
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in batch.leaves) or "no tensor"
        raise InputError(worded("samples", "batches whose tensors all have samples along their first axis", shapes,
                                "make the batches as small as the pieces are to be"))  # fmt: skip
    return [cut(batch, start, min(start + samples, size)) for start in range(0, size, samples)]


def without_idle(batches: Batches, weighing: Weighing) -> tuple[Batches, Weighing]:
    """Leave out batches that weigh nothing: their means, as over no labelled token, are NaN."""
    pairs = [(batch, weight) for batch, weight in zip(batches.kept, weighing.weights, strict=True) if weight]
    if len(pairs) == len(batches):
        return batches, weighing
    return Batches([batch for batch, _ in pairs]), dataclasses.replace(weighing, weights=[w for _, w in pairs])
