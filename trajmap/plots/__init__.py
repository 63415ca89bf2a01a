"""Pictures: each takes one noun, returns the axes, computes nothing, and draws the warnings of the noun."""

from trajmap.plots.alignment import plot_alignment, plot_alignments
from trajmap.plots.animation import save_animation as save_animation
from trajmap.plots.asymmetry import plot_asymmetry
from trajmap.plots.barriers import plot_barriers
from trajmap.plots.claims import plot_claims
from trajmap.plots.connection import plot_connection
from trajmap.plots.curvature import plot_density, plot_edge, plot_trainings
from trajmap.plots.direction_curvatures import plot_direction_curvatures
from trajmap.plots.eigenspace import plot_eigenspace
from trajmap.plots.eigenvalues import plot_eigenvalues
from trajmap.plots.embedding import plot_embedding
from trajmap.plots.geodesic import plot_geodesic
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.lift_gap import plot_lift_gap, plot_lift_gaps
from trajmap.plots.lines import plot_lines
from trajmap.plots.loss_check import plot_loss_check
from trajmap.plots.mined_direction import plot_mined_direction
from trajmap.plots.normal_profile import plot_normal_profile
from trajmap.plots.null_test import plot_null_test
from trajmap.plots.potential import plot_potential
from trajmap.plots.samples import plot_sample_convergence, plot_subspace_convergence
from trajmap.plots.saturation import plot_saturation
from trajmap.plots.scalars import plot_scalars
from trajmap.plots.scores import plot_scores
from trajmap.plots.sensitivity import plot_sensitivity
from trajmap.plots.solutions import plot_solution_tree
from trajmap.plots.surface_3d import interactive_surface_3d as interactive_surface_3d
from trajmap.plots.surface_3d import plot_surface_3d as plot_surface_3d
from trajmap.plots.theme import paper_style as paper_style
from trajmap.plots.topology import plot_basins, plot_merge_tree, plot_persistence
from trajmap.plots.valley_height import plot_valley_height
from trajmap.plots.variance import plot_variance
from trajmap.plots.walks import plot_gradient_cloud, plot_noise_rise, plot_permutation_paths, plot_walk_rise

__all__ = [
    "plot_alignment",
    "plot_alignments",
    "plot_asymmetry",
    "plot_barriers",
    "plot_basins",
    "plot_claims",
    "plot_connection",
    "plot_density",
    "plot_direction_curvatures",
    "plot_edge",
    "plot_eigenspace",
    "plot_eigenvalues",
    "plot_embedding",
    "plot_geodesic",
    "plot_gradient_cloud",
    "plot_landscape",
    "plot_lift_gap",
    "plot_lift_gaps",
    "plot_lines",
    "plot_loss_check",
    "plot_merge_tree",
    "plot_mined_direction",
    "plot_noise_rise",
    "plot_normal_profile",
    "plot_null_test",
    "plot_permutation_paths",
    "plot_persistence",
    "plot_potential",
    "plot_sample_convergence",
    "plot_saturation",
    "plot_scalars",
    "plot_scores",
    "plot_sensitivity",
    "plot_solution_tree",
    "plot_subspace_convergence",
    "plot_trainings",
    "plot_valley_height",
    "plot_variance",
    "plot_walk_rise",
]
