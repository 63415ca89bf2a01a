"""Probe a loss before trusting it: whether it needs a graph, is a scalar, and is a function."""

from collections.abc import Callable

import numpy as np
import torch

from trajmap._validation import worded
from trajmap.errors import InputError, NondeterministicError

__all__ = ["probe", "scalar"]


def probe(first_batch: Callable[[bool], float], eps: float, *, check: bool) -> bool:
    """Evaluate a loss once or twice.

    Parameters
    ----------
    first_batch : callable
        ``first_batch(with_graph) -> float``: the loss on the first batch.
    eps : float
        Rounding of the number format.
    check : bool
        Evaluate it twice and compare.

    Returns
    -------
    bool
        Whether it needs a graph, as a physics-informed loss with derivatives through the model does.

    Raises
    ------
    NondeterministicError
        If it gives two values.
    RuntimeError
        What the loss itself raises.
    """
    graph = False
    try:
        first = first_batch(graph)
    except RuntimeError as error:
        if "grad" not in str(error):
            raise
        graph = True
        first = first_batch(graph)
    if not check:
        return graph
    second = first_batch(graph)
    # 1e3 units of rounding: reductions on several threads or a GPU may differ by a few
    if not np.isclose(first, second, rtol=1e3 * eps, atol=0, equal_nan=True):
        raise NondeterministicError(
            f"loss: expected one value at one point, got {first!r} and then {second!r}; "
            "repair: switch dropout, sampling and augmentation off inside the loss"
        )
    return graph


def scalar(result: object) -> float:
    """Take the number out of what a loss gave, or say what it should have given."""
    if not isinstance(result, torch.Tensor) or result.numel() != 1:
        got = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
        raise InputError(worded("loss", "a tensor with one entry, the mean over the batch", f"{got}"))
    return float(result.detach())
