"""A statistic of a run and of its surrogates."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["NullTest"]


@dataclasses.dataclass(frozen=True, eq=False)
class NullTest(Saved, rows=("n_draws",)):
    """A statistic, its null distribution, and how far apart they are.

    Parameters
    ----------
    value : float
        The statistic of the run.
    null : numpy.ndarray, shape (n_draws,)
        The statistic of each surrogate.
    statistic : str
        Name of the statistic.
    surrogate : str
        Name of the surrogates.

    Examples
    --------
    >>> test = NullTest(5.0, np.arange(19.0) / 19)
    >>> round(test.p, 3), test.z > 3
    (0.1, True)
    """

    value: float
    null: Annotated[Array, Shape("n_draws")]
    statistic: str = ""
    surrogate: str = ""

    @property
    def p(self) -> float:
        """Two-sided p-value, at least 2/(n_draws + 1): twice the share of draws beyond the run, itself counted."""
        if not np.isfinite(self.value):
            return float("nan")
        known = self.null[np.isfinite(self.null)]
        above, below = np.sum(known >= self.value), np.sum(known <= self.value)
        return float(min(1.0, 2 * (1 + min(above, below)) / (len(known) + 1)))

    @property
    def z(self) -> float:
        """Distance from the null's mean in its standard deviations."""
        known = self.null[np.isfinite(self.null)]
        return float((self.value - known.mean()) / known.std(ddof=1)) if len(known) > 1 else float("nan")

    def __str__(self) -> str:
        low, high = np.nanquantile(self.null, [0.05, 0.95]) if len(self.null) else (np.nan, np.nan)
        return (
            f"{self.statistic} {self.value:.4g}; {self.surrogate} {low:.4g} to {high:.4g}, p = {self.p:.3g}, "
            f"z = {self.z:.1f}"
        )
