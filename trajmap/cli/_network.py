"""Information about a network for the verbs: its hidden units, and inputs."""

from typing import Any

import torch

from trajmap.basins.unit_group import UnitGroups
from trajmap.basins.units import unit_groups
from trajmap.cli._progress import say
from trajmap.objective.objective import Objective

__all__ = ["hidden_units", "inputs_of", "probes_of"]


def hidden_units(objective: Objective) -> UnitGroups:
    """Hidden units that may be permuted, with a word on those that may not."""
    found = unit_groups(objective)
    if found.left_out or not found:
        say(f"units: {found}")
    return found


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
