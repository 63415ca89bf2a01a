"""Where the outliers of a spectrum end."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["SpectralGap"]


@dataclasses.dataclass(frozen=True)
class SpectralGap(Saved):
    """The largest gap in a spectrum: how many eigenvalues are above it.

    Parameters
    ----------
    count : int
        Eigenvalues above the gap.
    ratio : float
        λ_count/λ_{count+1}; near 1 there is no clear gap, inf where nothing lies below.

    Examples
    --------
    >>> SpectralGap(2, 4.0).ratio
    4.0
    """

    count: int
    ratio: float
