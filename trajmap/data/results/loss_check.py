"""Whether an objective can be the function that a run recorded."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["LossCheck"]


@dataclasses.dataclass(frozen=True, eq=False)
class LossCheck(Saved, rows=("n",)):
    """The objective at the last iterate, and the losses that the run recorded near its end.

    Parameters
    ----------
    value : float
        The objective at the last iterate.
    recorded : numpy.ndarray, shape (n,)
        Finite losses recorded at the last iterates, at most twenty; of minibatches, usually.
    statistics : str
        What the objective uses as BatchNorm's statistics.

    Examples
    --------
    >>> LossCheck(1.6e9, np.array([0.20, 0.19, 0.21]), "frozen as they are in the model").agrees
    False
    >>> LossCheck(0.24, np.array([0.20, 0.19, 0.21]), "frozen as they are in the model").agrees
    True
    """

    value: float
    recorded: Annotated[Array, Shape("n")]
    statistics: str

    @property
    def agrees(self) -> bool | None:
        """False if the two cannot be one function, None if the run recorded too little to decide.

        Other data, a penalty or dropout may change a loss by a factor, so three of their largest, or a third of their
        least, and ten times their spread are allowed.
        """
        if len(self.recorded) < 3:
            return None
        if not np.isfinite(self.value):
            return False
        low, high = float(self.recorded.min()), float(self.recorded.max())
        room = 10 * (high - low)
        least = min(low / 3, low * 3) - room
        return bool(least <= self.value <= max(high / 3, high * 3) + room)

    @property
    def text(self) -> str:
        """One line for a reader."""
        if not len(self.recorded):
            return f"the objective at the end of the run is {self.value:.4g}; the run recorded no loss"
        low, high = self.recorded.min(), self.recorded.max()
        text = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g} at its last {len(self.recorded)} iterates"
        return f"the objective at the end of the run is {self.value:.4g}; the run recorded {text}"
