"""An objective on pieces of its own data, as an optimizer's batches are."""

import copy

from trajmap.objective.objective import Objective
from trajmap.objective.strategy import split_batch

__all__ = ["pieces_of"]


def pieces_of(objective: Objective, samples: int) -> list[Objective]:
    """Split an objective into objectives on `samples` samples each; model and layout are shared."""
    found = []
    for batch in objective.parts.batches:
        for _, piece in split_batch(batch, samples):
            part = copy.copy(objective)
            part._batches, part._weights = [piece], [1.0]
            found.append(part)
    return found
