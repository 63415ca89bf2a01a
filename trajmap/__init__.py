"""Answer where an optimizer went, and what the loss landscape is there.

trajmap records an optimizer's iterates, reduces them to a few coordinates with honest scores, lifts those
coordinates back to parameter space to evaluate the loss there, and compares the found manifold with the
Hessian's top eigenspace. Public names load when they are first used, so importing trajmap costs no torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "trajmap.data": (
        "Alignment",
        "Eigenspace",
        "Fan",
        "Grid",
        "Landscape",
        "Layout",
        "Plane",
        "Reduction",
        "Trajectory",
    ),
    "trajmap.recording": (
        "CountSketch",
        "Recorder",
        "at_steps",
        "branch",
        "by_change",
        "from_checkpoints",
        "link_checkpoints",
        "log_spaced",
        "lora",
        "matching",
        "requires_grad",
    ),
    "trajmap.reduction": (
        "Autoencoder",
        "DiffusionMap",
        "GaussianProcessLift",
        "Lifted",
        "Phate",
        "PrincipalComponents",
        "RowSpace",
        "UMAP",
    ),
    "trajmap.scores": ("TimeBlockSplit", "compare_reductions", "null_test", "score", "score_table"),
    "trajmap.objective": ("Objective", "Strategy", "root_probabilities", "supervised"),
    "trajmap.directions": (
        "gradient_plane",
        "hessian_plane",
        "interpolation_plane",
        "mine_direction",
        "mine_ring",
        "mine_saddle",
        "principal_plane",
        "random_plane",
        "v_side",
        "vvv_basin",
        "w_basin",
        "w_peak",
    ),
    "trajmap.projection": (
        "ParametricChart",
        "asymmetry_test",
        "barrier",
        "barrier_matrix",
        "chart_carries_loss",
        "classify_curve",
        "critical_points",
        "curve",
        "effective_potential",
        "geodesic",
        "held_out_gap",
        "loss_gradient_cloud",
        "loss_knows_it",
        "noise_rise",
        "normal_profile",
        "permutation_paths",
        "pullback",
        "random_walk_rise",
        "refined_surface",
        "solution_tree",
        "surface",
        "tangent",
        "valley_height",
        "valley_profile",
    ),
    "trajmap.curvature": (
        "alignment",
        "causal_test",
        "critical_sharpness",
        "edge_gauge",
        "eigenspace_path",
        "generalized_sharpness",
        "overlap",
        "principal_angles",
        "sample_convergence",
        "spectral_density",
        "subspace_convergence",
        "top_eigenspace",
    ),
    "trajmap.sensitivity": ("chart_derivatives", "input_derivatives", "spearman_table", "weight_derivatives"),
    "trajmap.topology": ("merge_tree", "persistence"),
    "trajmap.plots": ("plot_alignment", "plot_landscape"),
    "trajmap.report": ("write_report",),
}
_ROOMS = {name: room for room, names in _HOME.items() for name in names}

__all__ = [*_ROOMS]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'trajmap' has no attribute {name!r}")
    return getattr(importlib.import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
