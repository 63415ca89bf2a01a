"""Trials of rules: whether the loss of joined batches is the weighted mean of their losses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from trajmap.objective.batches import Batch
from trajmap.objective.rules import Rule, labels_of, shares_of

__all__ = ["SUM", "Run", "nearby", "tried"]

Run = Callable[[Batch], float]
SUM = "the loss of joined batches is the sum of their losses"


def tried(
    batches: list[Batch], rules: list[tuple[Rule, list[float]]], run: Run, *, shape: bool, tolerance: float
) -> tuple[tuple[Rule, list[float]] | None, str]:
    """Find the first rule for which the loss of joined batches is the weighted mean of their losses.

    If batches cannot be joined, each is split instead. This cannot distinguish samples from their elements, so that
    samples are then certain only with one label each.

    Returns
    -------
    found : tuple or None
        The rule and its weights; None if none holds, or none could be tried.
    why : str
        The reason against all rules; empty if nothing was tried.
    """
    trials = []
    for whole, parts in _joined(batches, rules) if shape else _halved(batches, rules):
        try:
            losses = [run(batch) for batch in (whole, *parts)]
        except (RuntimeError, ValueError, IndexError, TypeError, KeyError, AssertionError):
            return None, ""  # a loss that accepts only the given batches
        if np.isfinite(losses).all():
            trials.append((losses, parts))
    if not trials:
        return None, ""
    agree = [(rule, shares) for rule, shares in rules if all(_holds(rule, *trial, tolerance) for trial in trials)]
    if not agree:
        total = all(_close(losses[0], sum(losses[1:]), tolerance * abs(losses[0])) for losses, _ in trials)
        return None, SUM if total else "the loss of joined batches is not a weighted mean of their losses"
    labels = [labels_of(batch) for batch in batches]
    single = all(label is not None and label.ndim == 1 for label in labels)
    text = shape or single or all(rule.name != "samples" for rule, _ in agree)
    # if the losses of batches are equal, as with a last layer of zeros, every rule holds
    clear = sum(not rule.weak for rule, _ in agree) <= 1
    return (agree[0] if text and clear else None), ""


def _holds(rule: Rule, losses: list[float], parts: list[Batch], tolerance: float) -> bool:
    found = rule.measures(parts)
    if found is None or not found.sum():
        return False
    return _close(losses[0], float(np.dot(shares_of(found), losses[1:])), tolerance * max(map(abs, losses)))


def _close(value: float, expected: float, most: float) -> bool:
    return bool(abs(value - expected) <= most)


def _joined(batches: list[Batch], rules: list[tuple[Rule, list[float]]]) -> list[tuple[Batch, list[Batch]]]:
    """Join batches: a pair of different sizes, and pairs on which the rules differ most."""
    first = np.array(rules[0][1])
    pairs = [(int(first.argmin()), int(first.argmax()))]
    with np.errstate(divide="ignore", invalid="ignore"):
        for _, shares in rules[1:4]:
            ratio = np.nan_to_num(np.array(shares) / first)
            pairs.append((int(ratio.argmin()), int(ratio.argmax())))
    chosen = dict.fromkeys(pair if pair[0] != pair[1] else (0, len(batches) - 1) for pair in pairs)
    found = []
    for i, j in chosen:
        parts = [batches[i], batches[j]]
        together = [_together(*leaves) for leaves in zip(parts[0].samples, parts[1].samples, strict=True)]
        found.append((parts[0].with_samples(together), parts))
    return found


def _halved(batches: list[Batch], rules: list[tuple[Rule, list[float]]]) -> list[tuple[Batch, list[Batch]]]:
    """Split batches: the largest, and those on which the rules differ."""
    chosen = dict.fromkeys(int(np.argmax(shares)) for _, shares in rules[:4])
    found = []
    for batch in (batches[j] for j in chosen):
        size = batch.size
        if size is not None and size > 1:
            found.append((batch, [_every_other(batch, 0), _every_other(batch, 1)]))
    return found


def _every_other(batch: Batch, first: int) -> Batch:
    """Take half of the samples, spread over the batch, which may be ordered."""
    halves = [leaf[first::2] for leaf in batch.samples]
    return batch.with_samples([half.clone() if isinstance(half, torch.Tensor) else half.copy() for half in halves])


def _together(one: Any, other: Any) -> Any:
    return torch.cat([one, other]) if isinstance(one, torch.Tensor) else np.concatenate([one, other])


def nearby(flat: torch.Tensor) -> None:
    """Move a point a little, in place; rules hold everywhere, and differ almost everywhere."""
    noise = torch.randn(len(flat), generator=torch.Generator().manual_seed(0)).to(flat)
    flat += 0.01 * (flat.abs().mean() + 0.3) * noise
