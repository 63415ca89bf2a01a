"""Density of the Hessian's eigenvalues at the end of a run."""

import numpy as np

from trajmap.data.results.spectral_density import SpectralDensity
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.curvature import plot_density

__all__ = ["DENSITY", "find_density"]


def find_density(found: SpectralDensity) -> Finding:
    """How many directions carry the curvature, and what share of the eigenvalues is negative."""
    return Finding(_words, found.effective_rank, facts={"negative": found.negative_share, "size": found.size})


def _words(found: Finding) -> str:
    f = found.facts
    return (
        f"At the end of the run the effective rank of the spectrum is {found.value:.3g} of {f['size']:,};"
        f" {f['negative']:.1%} of all are negative by more than a thousandth of the largest."
    )


def _example() -> SpectralDensity:
    return SpectralDensity(np.array([[-1.0, 0, 5]]), np.array([[0.2, 0.7, 0.1]]), 100)


DENSITY = Kind(
    name="density",
    place="density",
    noun=SpectralDensity,
    order=131,
    section="Curvature",
    title="Spectral density",
    definition="Density of the Hessian's eigenvalues by stochastic Lanczos quadrature. Effective rank: (tr H)²/tr H², "
    "how many equal eigenvalues would give the same two traces.",
    command="trajmap hessian {run} --density {objective}",
    example=_example,
    plot=plot_density,
    caption=lambda found: "At the end of the run, by stochastic Lanczos quadrature.",
    alternative="Density of Hessian eigenvalues at the end of the run",
    findings=each(find_density),
    effort=lambda found: {"probes": float(len(found.nodes)), "nodes": float(found.nodes.shape[1])},
    follows=("length", "objective"),
)
