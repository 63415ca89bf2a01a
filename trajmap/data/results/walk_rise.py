"""How the loss rises along random walks from a point."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["WalkRise"]


@dataclasses.dataclass(frozen=True, eq=False)
class WalkRise(Saved, rows=("n_walks", "n_times")):
    """Rise of the loss along Gaussian walks, each the mean of an antithetic pair, with the law of the quadratic.

    Parameters
    ----------
    rises : numpy.ndarray, shape (n_walks, n_times)
        Loss above the start's after 0, 1, … steps.
    sigma : float
        Width of a step's Gaussian, in each entry.
    trace : float
        tr H at the start; NaN where it was not computed.

    Examples
    --------
    >>> walks = WalkRise(np.array([[0.0, 1, 2], [0, 3, 4]]), 1.0, 3.0)
    >>> walks.mean.tolist(), walks.expected.tolist(), walks.ratio
    ([0.0, 2.0, 3.0], [0.0, 1.5, 3.0], 1.0)
    """

    rises: Annotated[Array, Shape("n_walks", "n_times")]
    sigma: float
    trace: float = float("nan")

    @property
    def mean(self) -> Array:
        """Mean rise after t steps, shape (n_times,)."""
        return self.rises.mean(axis=0)

    @property
    def error(self) -> Array:
        """Its standard error over the walks, shape (n_times,)."""
        return self.rises.std(axis=0, ddof=1) / np.sqrt(len(self.rises))

    @property
    def expected(self) -> Array:
        """Compute ½ σ² t tr H, exact on quadratics, shape (n_times,)."""
        return 0.5 * self.sigma**2 * self.trace * np.arange(self.rises.shape[1])

    @property
    def ratio(self) -> float:
        """Rise at the end over the expected one: 1 while the walk stays in the quadratic."""
        return float(self.mean[-1] / self.expected[-1])
