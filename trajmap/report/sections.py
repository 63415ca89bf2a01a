"""What each section of the report is made of."""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

from trajmap.data.archive import Saved
from trajmap.data.artefacts import Artefacts
from trajmap.data.results.asymmetry import Asymmetry
from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.results.line_profiles import LineProfiles
from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.data.results.score_table import ScoreTable
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.data.results.training_curves import TrainingCurves
from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.report.finding import Finding
from trajmap.report.findings import (
    find_alignment,
    find_basins,
    find_charts,
    find_claims,
    find_curvature,
    find_edge,
    find_gaps,
    find_lines,
    find_scores,
    find_sensitivity,
    find_topology,
    find_trainings,
    find_variance,
)
from trajmap.report.surroundings import find_asymmetry, find_samples, find_walks

__all__ = ["KINDS", "Kind", "alternative"]

Noun = TypeVar("Noun", bound=Saved)
Several = TypeVar("Several")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A section: its heading, how its sentence is found, the command that makes it, its figures and their captions.

    `find` gives None where the artefacts are not there. Figures are named by the beginning of their names.
    """

    title: str
    find: Callable[[Artefacts], Finding | None]
    command: str
    figures: tuple[tuple[str, str], ...]
    wide: bool = False


def _one(place: str, noun: type[Noun], find: Callable[[Noun], Finding]) -> Callable[[Artefacts], Finding | None]:
    def found(artefacts: Artefacts) -> Finding | None:
        known = artefacts.one(place, noun)
        return None if known is None else find(known)

    return found


def _all(
    several: Callable[[Artefacts], dict[str, Several]], find: Callable[[dict[str, Several]], Finding]
) -> Callable[[Artefacts], Finding | None]:
    def found(artefacts: Artefacts) -> Finding | None:
        known = several(artefacts)
        return find(known) if known else None

    return found


def _sensitivity(artefacts: Artefacts) -> Finding | None:
    for by in ("inputs", "weights", "chart"):
        known = artefacts.one(f"sensitivity-{by}", Sensitivity)
        if known is not None:
            return find_sensitivity(known)
    return None


KINDS = (
    Kind("What is known", _all(Artefacts.claims, find_claims), "trajmap claims {run} --sister OTHER {objective}",
         (("claims", "A claim holds where its value is beyond every null; the hardest is drawn."),), wide=True),
    Kind("Explained variance", _one("variance", VarianceSpectrum, find_variance), "trajmap score {run}",
         (("variance", "Bars: this run; grey: random walks with its step norms."),)),
    Kind("Charts", _all(Artefacts.landscapes, find_charts), "trajmap surface {run} {objective}",
         (("landscape", "Loss at the lifted grid points; the path runs from red to yellow."),)),
    Kind("Lift gap", _all(Artefacts.lift_gaps, find_gaps), "trajmap surface {run} {objective}",
         (("gap", "Is the loss on the chart the loss the optimizer saw?"),)),
    Kind("Topology", _all(Artefacts.trees, find_topology), "trajmap topology {run}",
         (("tree", "Basins of the landscape: each ends where it meets a deeper one."),
          ("profile", "Each basin as wide as its number of grid points."),
          ("rings", "Valleys around a hill: born where they close, dead at its top."))),
    Kind("Lines", _one("lines", LineProfiles, find_lines), "trajmap lines {run} {objective}",
         (("lines", "Grey: random directions, the baseline."),
          ("bends", "Random directions see the mean curvature: they bend up whenever the trace is positive."))),
    Kind("Asymmetry", _one("asymmetry", Asymmetry, find_asymmetry), "trajmap lines {run} {objective}",
         (("asymmetry", "Share 0, Gaussian noise, is the control."),
          ("valley", "Across the averaged end of the run; grey: random directions."))),
    Kind("Walks", find_walks, "trajmap walks {run} {objective}",
         (("walk", "Dashed: what a quadratic valley would show."),
          ("noise", "The wider the valley, the later the loss rises."),
          ("permutations", "Equal networks at both ends."),
          ("cloud", "From random starts: a small gradient at a high loss is a minimum or a saddle."),
          ("saturation", "Tanh and sigmoid: distance from the middle; ReLU: zeros."))),
    Kind("Scores", _one("scores", ScoreTable, find_scores), "trajmap score {run}",
         (("scores", "Under each score: the range over random walks."),), wide=True),
    Kind("Basins", _all(Artefacts.connections, find_basins), "trajmap basin {run} OTHER --sister RUN {objective}",
         (("connection", "Loss along the ways between the ends of two runs."),
          ("solutions", "Ends of the runs, hidden units matched, by average linkage."))),
    Kind("Curvature", _all(Artefacts.comparisons, lambda found: find_curvature(next(iter(found.values())))),
         "trajmap hessian {run} {objective}",
         (("eigenvalues", "Band: residual of λ₁."),
          ("density", "At the end of the run, by stochastic Lanczos quadrature."))),
    Kind("Edge of stability", _one("edge", EdgeGauge, find_edge), "trajmap hessian {run} --edge {objective}",
         (("edge", "1: the largest stable sharpness."),)),
    Kind("Causal test", _one("trainings", TrainingCurves, find_trainings), "trajmap hessian {run} --causal {objective}",
         (("trainings", "Updates in and off the top."),)),
    Kind("Alignment", _all(Artefacts.comparisons, find_alignment), "trajmap align {run} {objective}",
         (("alignment", "Bands: 5–95 % of random subspaces."),)),
    Kind("Sample size", _one("samples", SampleConvergence, find_samples), "trajmap samples {run} {objective}",
         (("samples", "Dashed: independent samples."),
          ("subspace", "Lines: second-order expansions of the samples' losses."))),
    Kind("Sensitivity", _sensitivity, "trajmap sensitivity {run} {objective}",
         (("sensitivity", "Along the run; each order over its own largest."),)),
)  # fmt: skip

_ALTERNATIVES = {
    "claims": "Values of the claims beside the draws of their hardest nulls",
    "scalars": "Recorded losses by optimizer step",
    "variance": "Explained variance of the principal components beside random walks",
    "landscape": "Loss over the chart with the path and the unsupported region",
    "connection": "Loss along the ways to the end of the run",
    "solutions": "Dendrogram of the ends of several runs",
    "gap": "Loss of iterates, of their lifts and of a random control by step for the chart",
    "scores": "Table of scores beside those of random walks",
    "lines": "Loss along random, mined and sign-consistent lines through the end of the run",
    "bends": "Histogram of the curvatures of random directions",
    "asymmetry": "Loss on both sides of the model by the share of its signs in the noise",
    "valley": "Loss along the path's mean direction through the mean of the last iterates",
    "walk": "Rise of the loss along random walks beside the law of a quadratic",
    "noise": "Loss under noise by its norm",
    "permutations": "Loss on the ways to equal networks with units swapped",
    "cloud": "Loss against gradient norm along gradient walks",
    "saturation": "Saturation of each activation layer by optimizer step",
    "samples": "Change of the loss by one more sample, by number of samples",
    "subspace": "Squared change of the loss over the top subspace by number of samples",
    "sensitivity": "Mean absolute derivatives of the loss by",
    "profile": "Basins by width and depth over",
    "rings": "Births and deaths of rings over",
    "tree": "Merge tree of the landscape over",
    "density": "Density of Hessian eigenvalues at the end of the run",
    "edge": "Sharpness over its stability threshold by optimizer step",
    "trainings": "Last losses of trainings on and off the top eigenspace",
    "eigenvalues": "Top Hessian eigenvalues by optimizer step",
    "alignment": "Share of gradient, step and tangent inside the top eigenspace by step for the chart",
}


def alternative(name: str) -> str:
    """Word what a figure shows, for readers who do not see it."""
    kind, _, chart = name.partition("-")
    return f"{_ALTERNATIVES[kind]} {chart}".strip()
