"""An objective on pieces of its own data, like an optimizer's batches."""

from trajmap.objective.batches import Batches
from trajmap.objective.objective import Objective
from trajmap.objective.splitting import split_batches

__all__ = ["pieces_of"]


def pieces_of(objective: Objective, batch_size: int) -> list[Objective]:
    """Split an objective into objectives on `batch_size` samples each; model and layout are shared."""
    parts = objective.parts
    pieces, _ = split_batches(parts.batches, parts.weighing, batch_size)
    return [objective.on_batches(Batches([piece]), [1.0]) for piece in pieces.kept]
