"""The Hessian along a run, and the run's position in it, compared with random subspaces."""

from trajmap.curvature.alignments import alignment
from trajmap.curvature.angles import overlap, overlap_baseline, principal_angles
from trajmap.curvature.causal import SgdPlan, causal_test, subspace_training
from trajmap.curvature.critical import critical_points
from trajmap.curvature.density import largest_gap, spectral_density
from trajmap.curvature.directional import direction_curvatures
from trajmap.curvature.edge import edge_gauge
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import by_magnitude, lanczos_pairs, largest, smallest
from trajmap.curvature.normal import normal_profile
from trajmap.curvature.operators import batch_gradients, covariance_product, gauss_newton, restricted
from trajmap.curvature.path import displacement, eigenspace_path, grassmann_distance
from trajmap.curvature.sample_size import hessian_norm_bound, sample_convergence, subspace_change, sufficient_size
from trajmap.curvature.scalar import curvature_class, scalar_curvature
from trajmap.curvature.shares import drift_share, frozen_quadratic_run, isotropic_share, noise_share
from trajmap.curvature.sharpness_batch import batch_sharpness
from trajmap.curvature.sharpness_critical import critical_sharpness
from trajmap.curvature.sharpness_generalized import generalized_sharpness
from trajmap.curvature.stationary import quadratic_horizon, stationary_check, window_factor
from trajmap.curvature.subspace_size import sample_quadratics, subspace_convergence
from trajmap.curvature.trace import deflated_trace, hutchinson, hutchpp, xtrace

__all__ = [
    "SgdPlan",
    "alignment",
    "batch_gradients",
    "batch_sharpness",
    "by_magnitude",
    "causal_test",
    "covariance_product",
    "critical_points",
    "critical_sharpness",
    "curvature_class",
    "deflated_trace",
    "direction_curvatures",
    "displacement",
    "drift_share",
    "edge_gauge",
    "eigenspace_path",
    "frozen_quadratic_run",
    "gauss_newton",
    "generalized_sharpness",
    "grassmann_distance",
    "hessian_norm_bound",
    "hutchinson",
    "hutchpp",
    "isotropic_share",
    "lanczos_pairs",
    "largest",
    "largest_gap",
    "noise_share",
    "normal_profile",
    "overlap",
    "overlap_baseline",
    "principal_angles",
    "quadratic_horizon",
    "restricted",
    "sample_convergence",
    "sample_quadratics",
    "scalar_curvature",
    "smallest",
    "spectral_density",
    "stationary_check",
    "subspace_change",
    "subspace_convergence",
    "subspace_training",
    "sufficient_size",
    "top_eigenspace",
    "window_factor",
    "xtrace",
]
