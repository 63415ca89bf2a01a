"""The kind of a point by its curvatures."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["CurvatureClass"]


@dataclasses.dataclass(frozen=True)
class CurvatureClass(Saved):
    """Kind of a point by its Ritz values.

    Parameters
    ----------
    kind : str
        ``"convex"`` or ``"concave"`` where all curve one way, ``"saddle"`` where they curve both ways, ``"singular"``
        where some curve one way and some do not bend, ``"flat"`` where none does. Never stricter than what was seen: a
        negative eigenvalue may hide from few steps.
    n_negative, n_positive : int
        Ritz values beyond the band: lower bounds on the numbers of such eigenvalues.

    Examples
    --------
    >>> CurvatureClass("saddle", 1, 1).kind
    'saddle'
    """

    kind: str
    n_negative: int
    n_positive: int
