"""The Hessian along a run, and how the run lies in it, beside random subspaces."""

from trajmap.curvature.alignment import alignment
from trajmap.curvature.angles import overlap, overlap_baseline, principal_angles
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import by_magnitude, lanczos, largest, smallest

__all__ = [
    "alignment",
    "by_magnitude",
    "lanczos",
    "largest",
    "overlap",
    "overlap_baseline",
    "principal_angles",
    "smallest",
    "top_eigenspace",
]
