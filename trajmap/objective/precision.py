"""The same objective in another number format, and what that costs in truth."""

import dataclasses

import numpy as np
import torch

from trajmap._validation import Array, check_array
from trajmap.objective.evaluator import Evaluator
from trajmap.objective.objective import Objective
from trajmap.objective.points import Points
from trajmap.objective.strategy import PLAIN, Strategy

__all__ = ["half_precision", "in_dtype", "precision_error", "strategy_error"]


def in_dtype(objective: Objective, dtype: torch.dtype) -> Objective:
    """Make the same objective in another number format: half precision for speed, float64 for a reference.

    Parameters
    ----------
    objective : Objective
        The loss.
    dtype : torch.dtype
        Of the weights and of the batches' floating tensors.

    Returns
    -------
    Objective
        On the same data.
    """
    parts = objective.parts
    metrics = {name: function for name, function in parts.functions.items() if name != "loss"}
    return Objective(
        parts.twin.module, parts.functions["loss"], parts.batches, layout=objective.layout, metrics=metrics,
        dtype=dtype, re_estimate=parts.re_estimates, check=False, weights=parts.weights,
    )  # fmt: skip


def precision_error(objective: Objective, other: Objective, thetas: Array) -> float:
    """Find the largest relative difference of the losses of two objectives at some points.

    Parameters
    ----------
    objective, other : Objective
        The reference, and the one in question.
    thetas : array-like, shape (n, P)
        Points of the picture.

    Returns
    -------
    float
        max |L′ − L| / |L|; NaN where a loss is NaN.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> exact = Objective(model, lambda m, x: m(x).square().sum(), [torch.eye(2)])
    >>> error = precision_error(exact, in_dtype(exact, torch.bfloat16), np.array([[0.1, 0.3]]))
    >>> 1e-4 < error < 1e-2
    True
    """
    thetas = check_array("thetas", thetas, (None, objective.size))
    reference = objective.values(thetas)
    return float(np.max(np.abs(other.values(thetas) / reference - 1)))


def half_precision(objective: Objective, strategy: Strategy | None = None) -> Strategy:
    """Make a strategy that runs in bfloat16: a given one, or one with images channels-last on accelerators."""
    if strategy is not None:
        return dataclasses.replace(strategy, bfloat16=True)
    convolves = any(isinstance(layer, torch.nn.Conv2d) for layer in objective.model.modules())
    return Strategy(bfloat16=True, channels_last=convolves and objective.like.device.type != "cpu")


def strategy_error(objective: Objective, strategy: Strategy, points: Points) -> float:
    """Find the largest relative difference of the losses by a strategy from the plain ones at some points."""
    plain, other = (
        Evaluator(objective.parts, way).evaluate(points, only=["loss"])["loss"] for way in (PLAIN, strategy)
    )
    return float(np.max(np.abs(other / plain - 1)))
