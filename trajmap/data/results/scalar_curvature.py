"""The scalar curvature of the loss's graph at a point."""

import dataclasses

from trajmap.data.archive import Saved

__all__ = ["ScalarCurvature"]


@dataclasses.dataclass(frozen=True)
class ScalarCurvature(Saved):
    """Scalar curvature of the graph of the loss, with the traces it is made of.

    Parameters
    ----------
    value : float
        (tr S)² − tr S², with S the shape operator; a sphere of radius R in n + 1 dimensions has n(n − 1)/R².
    error : float
        Standard error, from the probes; 0 where the traces were exact.
    trace, squared : float
        tr H and tr H².
    """

    value: float
    error: float
    trace: float
    squared: float
