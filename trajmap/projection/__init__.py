"""The loss over any chart, flat or curved, and the evidence for its reliability."""

from trajmap.projection.adaptive import refined_surface
from trajmap.projection.chart import Chart
from trajmap.projection.chart_claim import chart_carries_loss
from trajmap.projection.geodesics import geodesic
from trajmap.projection.held_out import held_out_lift_gap
from trajmap.projection.lift_gaps import lift_gap
from trajmap.projection.loss_claim import loss_knows_it
from trajmap.projection.parametric import ParametricChart
from trajmap.projection.potential import effective_potential
from trajmap.projection.pullbacks import pullback
from trajmap.projection.support import PathGeometry
from trajmap.projection.surfaces import surface
from trajmap.projection.tangents import tangent

__all__ = [
    "Chart",
    "ParametricChart",
    "PathGeometry",
    "chart_carries_loss",
    "effective_potential",
    "geodesic",
    "held_out_lift_gap",
    "lift_gap",
    "loss_knows_it",
    "pullback",
    "refined_surface",
    "surface",
    "tangent",
]
