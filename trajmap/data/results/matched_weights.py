"""A network whose hidden units were permuted to match another's."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["MatchedWeights"]


@dataclasses.dataclass(frozen=True, eq=False)
class MatchedWeights(Saved, rows=("P",)):
    """Weights of a network with its hidden units permuted to lie near another's.

    Parameters
    ----------
    theta : numpy.ndarray, shape (P,)
        The permuted weights: the same function.
    permutations : tuple of numpy.ndarray of int
        One a group of units.
    """

    theta: Annotated[Array, Shape("P", dtype=None)]
    permutations: Annotated[tuple[Array, ...], Shape("groups", None, dtype=int)]
