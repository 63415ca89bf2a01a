"""Pictures: each takes one noun, returns the axes, computes nothing, and draws the warning that belongs to it."""

from trajmap.plots.alignment import plot_alignment
from trajmap.plots.connection import plot_connection
from trajmap.plots.eigenvalues import plot_eigenvalues
from trajmap.plots.embedding import plot_embedding
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.lift_gap import plot_lift_gap
from trajmap.plots.scalars import plot_scalars
from trajmap.plots.scores import plot_scores
from trajmap.plots.variance import plot_variance

__all__ = [
    "plot_alignment",
    "plot_connection",
    "plot_eigenvalues",
    "plot_embedding",
    "plot_landscape",
    "plot_lift_gap",
    "plot_scalars",
    "plot_scores",
    "plot_variance",
]
