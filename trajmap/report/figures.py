"""Every figure a run folder's artefacts allow, as PNG bytes."""

import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

from trajmap.data.archive import Saved
from trajmap.data.artefacts import Artefacts
from trajmap.data.results.asymmetry import Asymmetry
from trajmap.data.results.direction_curvatures import DirectionCurvatures
from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.results.gradient_cloud import GradientCloud
from trajmap.data.results.line_profiles import LineProfiles
from trajmap.data.results.noise_rise import NoiseRise
from trajmap.data.results.permutation_paths import PermutationPaths
from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.data.results.saturation import Saturation
from trajmap.data.results.score_table import ScoreTable
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.data.results.solution_tree import SolutionTree
from trajmap.data.results.spectral_density import SpectralDensity
from trajmap.data.results.subspace_convergence import SubspaceConvergence
from trajmap.data.results.training_curves import TrainingCurves
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.data.results.walk_rise import WalkRise
from trajmap.data.trajectory import Trajectory
from trajmap.plots.alignment import plot_alignment
from trajmap.plots.asymmetry import plot_asymmetry
from trajmap.plots.claims import plot_claims
from trajmap.plots.connection import plot_connection
from trajmap.plots.curvature import plot_density, plot_edge, plot_trainings
from trajmap.plots.direction_curvatures import plot_direction_curvatures
from trajmap.plots.eigenvalues import plot_eigenvalues
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.lift_gap import plot_lift_gap
from trajmap.plots.lines import plot_lines
from trajmap.plots.samples import plot_sample_convergence, plot_subspace_convergence
from trajmap.plots.saturation import plot_saturation
from trajmap.plots.scalars import plot_scalars
from trajmap.plots.scores import plot_scores
from trajmap.plots.sensitivity import plot_sensitivity
from trajmap.plots.solutions import plot_solution_tree
from trajmap.plots.theme import drawing_theme
from trajmap.plots.topology import plot_basins, plot_merge_tree, plot_persistence
from trajmap.plots.variance import plot_variance
from trajmap.plots.walks import plot_gradient_cloud, plot_noise_rise, plot_permutation_paths, plot_walk_rise

__all__ = ["SINGLE", "draw_figures"]

Drawing = Callable[[Any], Any]

# artefacts of which a run has one: what each is, and how it is drawn
SINGLE: dict[str, tuple[type[Saved], Callable[..., Any]]] = {
    "variance": (VarianceSpectrum, plot_variance),
    "scores": (ScoreTable, plot_scores),
    "lines": (LineProfiles, plot_lines),
    "bends": (DirectionCurvatures, plot_direction_curvatures),
    "asymmetry": (Asymmetry, plot_asymmetry),
    "valley": (LineProfiles, plot_lines),
    "walk": (WalkRise, plot_walk_rise),
    "noise": (NoiseRise, plot_noise_rise),
    "permutations": (PermutationPaths, plot_permutation_paths),
    "cloud": (GradientCloud, plot_gradient_cloud),
    "saturation": (Saturation, plot_saturation),
    "samples": (SampleConvergence, plot_sample_convergence),
    "subspace": (SubspaceConvergence, plot_subspace_convergence),
    "solutions": (SolutionTree, plot_solution_tree),
    "sensitivity-inputs": (Sensitivity, plot_sensitivity),
    "sensitivity-weights": (Sensitivity, plot_sensitivity),
    "sensitivity-chart": (Sensitivity, plot_sensitivity),
    "edge": (EdgeGauge, plot_edge),
    "density": (SpectralDensity, plot_density),
    "trainings": (TrainingCurves, plot_trainings),
}


def draw_figures(
    trajectory: Trajectory,
    artefacts: Artefacts,
    *,
    dark: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, bytes]:
    """Draw what there is.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    artefacts : Artefacts
        What was made of it.
    dark : bool
        Light ink on a dark ground.
    progress : callable, optional
        Called with the figures done and their number.

    Returns
    -------
    dict of str to bytes
        PNG by name, as ``landscape-pca``; names say the section and the chart.
    """
    drawings = _drawings(trajectory, artefacts)
    pictures = {}
    for done, (name, draw) in enumerate(drawings.items()):
        pictures[name] = _render(draw, wide=name in {"scores", "claims"}, dark=dark)
        if progress is not None:
            progress(done + 1, len(drawings))
    return pictures


def _drawings(trajectory: Trajectory, artefacts: Artefacts) -> dict[str, Drawing]:
    comparisons, claims = artefacts.comparisons(), artefacts.claims()
    found: dict[str, tuple[Callable[..., Any], Any]] = {"scalars": (plot_scalars, trajectory)}
    for name, (noun, plot) in SINGLE.items():
        known = artefacts.one(name, noun)
        if known is not None:
            found[name] = (plot, known)
    if claims:
        found["claims"] = (plot_claims, claims)
    if comparisons:
        found["eigenvalues"] = (plot_eigenvalues, next(iter(comparisons.values())))
    several: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
        "landscape": (plot_landscape, artefacts.landscapes()),
        "gap": (plot_lift_gap, artefacts.lift_gaps()),
        "connection": (plot_connection, artefacts.connections()),
        "tree": (plot_merge_tree, artefacts.trees()),
        "profile": (plot_basins, artefacts.profiles()),
        "rings": (plot_persistence, artefacts.rings()),
        "alignment": (plot_alignment, comparisons),
    }
    for kind, (plot, nouns) in several.items():
        found |= {f"{kind}-{name}": (plot, noun) for name, noun in nouns.items()}
    return {name: functools.partial(_draw, plot, noun) for name, (plot, noun) in found.items()}


def _draw(plot: Callable[..., Any], noun: Any, ax: Any) -> Any:
    return plot(noun, ax=ax)


def _render(draw: Drawing, *, wide: bool, dark: bool) -> bytes:
    """Draw on a figure of its own, without pyplot, so that no window system or global state is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with drawing_theme(dark=dark):
        figure = Figure(figsize=(10.2, 4.2) if wide else (6.4, 4.8), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    return stream.getvalue()
