"""The rank correlation of two rankings."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["RankAgreement"]


@dataclasses.dataclass(frozen=True)
class RankAgreement(Saved):
    """Rank correlation of two rankings of the same variables, with its interval.

    Parameters
    ----------
    value : float
        In [−1, 1]; NaN where a ranking is constant.
    low, high : float
        95 % bootstrap interval over the variables.

    Examples
    --------
    >>> print(RankAgreement(0.5, 0.25, 0.75))
    +0.50 (95%: +0.25 to +0.75)
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} (95%: {self.low:+.2f} to {self.high:+.2f})"
