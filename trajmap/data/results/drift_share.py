"""The share of a mean drift in a subspace."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["DriftShare"]


@dataclasses.dataclass(frozen=True)
class DriftShare(Saved):
    """Share of the mean drift in a subspace, from replicate branches, without the noise's bias.

    Parameters
    ----------
    value : float
        The estimate; it may leave [0, 1] by its error.
    error : float
        Jackknife standard error over the branches.

    Examples
    --------
    >>> print(DriftShare(0.25, 0.1))
    0.25 ± 0.1
    """

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.error:.2g}"
