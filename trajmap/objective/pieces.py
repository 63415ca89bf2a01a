"""An objective on pieces of its own data, as an optimizer's batches are."""

from trajmap.objective.objective import Objective
from trajmap.objective.strategy import split_batch

__all__ = ["pieces_of"]


def pieces_of(objective: Objective, samples: int) -> list[Objective]:
    """Split an objective into objectives on `samples` samples each; model and layout are shared."""
    pieces = (piece for batch in objective.parts.batches for _, piece in split_batch(batch, samples))
    return [objective.on_batches([piece], [1.0]) for piece in pieces]
