"""The largest step along an update that still lowers the loss."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["CriticalSharpness"]


@dataclasses.dataclass(frozen=True)
class CriticalSharpness(Saved):
    """2/η_c, with η_c the rate along an update at which the loss is back where it began.

    Parameters
    ----------
    value : float
        2/η_c; NaN where no such rate was found.
    low, high : float
        2/η at the smallest rate that is known to raise the loss and at the largest below it that is known to lower it:
        the value lies between. 0 where every rate that was tried lowers the loss, inf where each raises it.
    n_values : int
        Forward passes over the data.

    Examples
    --------
    >>> CriticalSharpness(4.0, 3.9, 4.1, 5).value
    4.0
    """

    value: float
    low: float
    high: float
    n_values: int
