"""Losses and gradient norms along walks: the loss–gradient cloud."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["GradientCloud"]


@dataclasses.dataclass(frozen=True, eq=False)
class GradientCloud(Saved, rows=("n_walks", "n_points")):
    """Loss and gradient norm at every point of several gradient walks.

    Parameters
    ----------
    losses, norms : numpy.ndarray, shape (n_walks, n_points)
        Points with a norm near zero and a loss above zero are near local minima or saddles.
    ends : list of str
        Kind of each walk's last point, as ``"convex"`` or ``"saddle"``; empty where it was not asked for.
    """

    losses: Annotated[Array, Shape("n_walks", "n_points")]
    norms: Annotated[Array, Shape("n_walks", "n_points")]
    ends: Annotated[list[str], Shape("n_walks", or_empty=True)] = dataclasses.field(default_factory=list)

    @property
    def descent(self) -> float:
        """Last loss over first loss, the mean over the walks: below 1 where walks descend."""
        return float(np.mean(self.losses[:, -1] / self.losses[:, 0]))

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the walks' ends by kind; they sum to one."""
        return {kind: self.ends.count(kind) / len(self.ends) for kind in sorted(set(self.ends))}
