"""Half precision, and the measured error of a strategy."""

import dataclasses

import numpy as np
import torch

from trajmap.objective.evaluator import Evaluator
from trajmap.objective.objective import Objective
from trajmap.objective.points import Points
from trajmap.objective.strategy import PLAIN, Strategy

__all__ = ["half_precision", "strategy_error"]


def half_precision(objective: Objective, strategy: Strategy | None = None) -> Strategy:
    """Make a strategy that runs in bfloat16, from a given one, or with images channels-last on accelerators."""
    if strategy is not None:
        return dataclasses.replace(strategy, bfloat16=True)
    convolves = any(isinstance(layer, torch.nn.Conv2d) for layer in objective.model.modules())
    return Strategy(bfloat16=True, channels_last=convolves and objective.like.device.type != "cpu")


def strategy_error(objective: Objective, strategy: Strategy, points: Points) -> float:
    """Measure the largest relative difference between a strategy's losses and the plain ones at some points."""
    plain, other = (
        Evaluator(objective.parts, way).evaluate(points, only=["loss"])["loss"] for way in (PLAIN, strategy)
    )
    return float(np.max(np.abs(other / plain - 1)))
