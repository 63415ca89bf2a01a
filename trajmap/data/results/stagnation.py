"""Where a walk's loss stays constant."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["Stagnation"]


@dataclasses.dataclass(frozen=True)
class Stagnation(Saved):
    """Stretches of a walk on which the smoothed loss stays constant.

    Parameters
    ----------
    count : int
        How many there are.
    length : float
        Their mean length in steps; 0 without any.

    Examples
    --------
    >>> Stagnation(1, 42.0).count
    1
    """

    count: int
    length: float
