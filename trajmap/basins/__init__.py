"""The loss around one point and between several points, without a chart."""

from trajmap.basins.asymmetry import asymmetry_test, sign_consistency, signed_noise, valley_asymmetry
from trajmap.basins.barriers import barrier, barrier_matrix
from trajmap.basins.gradient_walks import gradient_walk, loss_gradient_cloud, stagnation
from trajmap.basins.line_classes import classify_line
from trajmap.basins.matching import groups_at, match_weights, permute, permute_buffers, require_same_loss
from trajmap.basins.noise import noise_rise
from trajmap.basins.paths import BezierPath, PolygonalPath, SegmentPath, path_losses, train_path
from trajmap.basins.permuted_copies import permutation_paths
from trajmap.basins.random_walks import random_walk_rise
from trajmap.basins.solution_trees import overlaps, solution_tree
from trajmap.basins.unit_group import UnitGroup, UnitGroups
from trajmap.basins.units import unit_groups
from trajmap.basins.valley_profiles import valley_profile
from trajmap.basins.valleys import valley_height

__all__ = [
    "BezierPath",
    "PolygonalPath",
    "SegmentPath",
    "UnitGroup",
    "UnitGroups",
    "asymmetry_test",
    "barrier",
    "barrier_matrix",
    "classify_line",
    "gradient_walk",
    "groups_at",
    "loss_gradient_cloud",
    "match_weights",
    "noise_rise",
    "overlaps",
    "path_losses",
    "permutation_paths",
    "permute",
    "permute_buffers",
    "random_walk_rise",
    "require_same_loss",
    "sign_consistency",
    "signed_noise",
    "solution_tree",
    "stagnation",
    "train_path",
    "unit_groups",
    "valley_asymmetry",
    "valley_height",
    "valley_profile",
]
