"""What a verb needs to know of a network: its hidden units, and inputs to probe it with."""

from typing import Any

import torch

from trajmap.cli._progress import say
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.matching import UnitGroup, unit_groups

__all__ = ["hidden_units", "inputs_of", "probes_of"]


def hidden_units(model: torch.nn.Module) -> list[UnitGroup]:
    """Hidden units, where the network is a chain; none, with a word, where it is not."""
    try:
        return unit_groups(model)
    except InputError as error:
        say(f"units are not matched ({error})")
        return []


def inputs_of(objective: Objective) -> Any:
    """Take the inputs of the first batch: the tensor it is, or begins with; None where there is none."""
    batch = objective.parts.batches[0]
    first = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    return first if isinstance(first, torch.Tensor) else None


def probes_of(objective: Objective) -> Any:
    """Take the inputs of the first batch to compare classifiers on, where it is a pair with class indices."""
    batch = objective.parts.batches[0]
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(hasattr(part, "dtype") for part in batch):
        return None
    return None if batch[1].is_floating_point() else batch[0]
