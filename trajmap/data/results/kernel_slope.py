"""A cloud's dimension by its kernel sums."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["KernelSlope"]


@dataclasses.dataclass(frozen=True)
class KernelSlope(Saved):
    """Dimension and bandwidth from the sum of the kernel.

    Parameters
    ----------
    dimension : float
        Twice the largest slope; the boundary of a cloud lowers it.
    epsilon : float
        The ε of the largest slope.

    Examples
    --------
    >>> KernelSlope(1.0, 0.5).dimension
    1.0
    """

    dimension: float
    epsilon: float
