"""The loss over any chart, flat or curved, and the evidence of where to trust it."""

from trajmap.projection.barrier import barrier, barrier_matrix
from trajmap.projection.chart import Chart
from trajmap.projection.curve import curve
from trajmap.projection.matching import UnitGroup, match_weights, permute, unit_groups
from trajmap.projection.paths import BezierPath, PolygonalPath, SegmentPath, path_losses, train_path
from trajmap.projection.support import PathDistance
from trajmap.projection.surface import surface
from trajmap.projection.tangent import tangent
from trajmap.projection.valley import ValleyHeight, valley_height

__all__ = [
    "BezierPath",
    "Chart",
    "PathDistance",
    "PolygonalPath",
    "SegmentPath",
    "UnitGroup",
    "ValleyHeight",
    "barrier",
    "barrier_matrix",
    "curve",
    "match_weights",
    "path_losses",
    "permute",
    "surface",
    "tangent",
    "train_path",
    "unit_groups",
    "valley_height",
]
