"""Batches in pieces of a given number of samples, if their sizes are certain."""

import numpy as np

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.objective.batches import Batch, Batches
from trajmap.objective.rules import shares_of
from trajmap.objective.weights import Weighing

__all__ = ["cut", "split_batches"]


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Take some samples of a batch of certain size."""
    return batch.with_samples([leaf[start:stop] for leaf in batch.samples])


def split_batches(
    batches: Batches, weighing: Weighing, batch_size: int, *, strict: bool = True
) -> tuple[Batches, list[float]]:
    """Split batches into pieces of a given number of samples.

    Parameters
    ----------
    batches : Batches
        The data.
    weighing : Weighing
        Their weights; its rule also gives the share of a piece.
    batch_size : int
        Samples per piece; 0 for whole batches.
    strict : bool
        Raise an error for batches of uncertain size, instead of keeping them whole.

    Returns
    -------
    pieces : Batches
        In order.
    weights : list of float
        Weight of each piece, with the same sum as the batches' weights; all one if the loss is a sum.

    Raises
    ------
    InputError
        If `strict` and a size is not certain.
    """
    kept: list[Batch] = []
    weights: list[float] = []
    for weight, batch in zip(weighing.weights, batches.kept, strict=True):
        pieces = _pieces(batch, batch_size, strict=strict)
        measures = None if len(pieces) == 1 else weighing.rule.measures(pieces)
        if len(pieces) > 1 and measures is None:
            measures = np.array([piece.size for piece in pieces], dtype=float)
        kept += pieces
        if weighing.total or measures is None:
            weights += [weight] * len(pieces)
        else:
            weights += [weight * share for share in shares_of(measures)]
    return Batches(kept), weights


def _pieces(batch: Batch, batch_size: int, *, strict: bool) -> list[Batch]:
    size = batch.size
    if not batch_size or (size is not None and size <= batch_size):
        return [batch]
    if size is None:
        if not strict:
            return [batch]
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in batch.leaves) or "no tensor"
        raise InputError(worded("batch_size", "batches whose tensors all have samples along their first axis", shapes,
                                "make the batches as small as the pieces"))  # fmt: skip
    return [cut(batch, start, min(start + batch_size, size)) for start in range(0, size, batch_size)]
