"""The loss over any chart, flat or curved, and the evidence of where to trust it."""

from trajmap.projection.chart import Chart
from trajmap.projection.curve import curve
from trajmap.projection.support import PathDistance
from trajmap.projection.surface import surface
from trajmap.projection.tangent import tangent

__all__ = ["Chart", "PathDistance", "curve", "surface", "tangent"]
