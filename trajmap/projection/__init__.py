"""The loss over any chart, flat or curved, and the evidence of where to trust it."""

from trajmap.projection.adaptive import refined_surface
from trajmap.projection.asymmetry import asymmetry_test, sign_consistency, signed_noise, valley_asymmetry
from trajmap.projection.barrier import barrier, barrier_matrix
from trajmap.projection.chart import Chart
from trajmap.projection.chart_claim import chart_carries_loss
from trajmap.projection.classify import classify_curve
from trajmap.projection.critical import critical_points
from trajmap.projection.curve import curve
from trajmap.projection.geodesic import geodesic
from trajmap.projection.held_out import held_out_gap
from trajmap.projection.loss_claim import loss_knows_it
from trajmap.projection.matching import groups_at, match_weights, permute, permute_buffers, require_same_loss
from trajmap.projection.noise_rise import noise_rise
from trajmap.projection.normal import normal_profile
from trajmap.projection.parametric import ParametricChart
from trajmap.projection.paths import BezierPath, PolygonalPath, SegmentPath, path_losses, train_path
from trajmap.projection.potential import effective_potential
from trajmap.projection.pullback import pullback
from trajmap.projection.spin_glass import overlaps, permutation_paths, random_walk_rise, solution_tree
from trajmap.projection.support import PathGeometry
from trajmap.projection.surface import surface
from trajmap.projection.tangent import tangent
from trajmap.projection.unit_group import UnitGroup, UnitGroups
from trajmap.projection.units import unit_groups
from trajmap.projection.valley import valley_height
from trajmap.projection.valley_profile import valley_profile
from trajmap.projection.walks import gradient_walk, loss_gradient_cloud, stagnation

__all__ = [
    "BezierPath",
    "Chart",
    "ParametricChart",
    "PathGeometry",
    "PolygonalPath",
    "SegmentPath",
    "UnitGroup",
    "UnitGroups",
    "asymmetry_test",
    "barrier",
    "barrier_matrix",
    "chart_carries_loss",
    "classify_curve",
    "critical_points",
    "curve",
    "effective_potential",
    "geodesic",
    "gradient_walk",
    "groups_at",
    "held_out_gap",
    "loss_gradient_cloud",
    "loss_knows_it",
    "match_weights",
    "noise_rise",
    "normal_profile",
    "overlaps",
    "path_losses",
    "permutation_paths",
    "permute",
    "permute_buffers",
    "pullback",
    "random_walk_rise",
    "refined_surface",
    "require_same_loss",
    "sign_consistency",
    "signed_noise",
    "solution_tree",
    "stagnation",
    "surface",
    "tangent",
    "train_path",
    "unit_groups",
    "valley_asymmetry",
    "valley_height",
    "valley_profile",
]
