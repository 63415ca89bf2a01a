"""How close a run is to the edge of stability."""

import numpy as np

from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.curvature import plot_edge

__all__ = ["EDGE", "find_edge"]


def find_edge(gauge: EdgeGauge) -> Finding:
    """Whether the learning rate is at the edge of stability or beyond it."""
    late, low, high = gauge.late
    holds = {"at": "yes", "beyond": "yes", "below": "no"}.get(gauge.regime, "unknown")
    claim = "the learning rate is at the edge of stability or beyond"
    return Finding(_words, late, claim, holds, low=low, high=high, null=(1.0, 1.0), facts={"verdict": gauge.verdict})


def _words(found: Finding) -> str:
    words = str(found.facts["verdict"])
    return f"{words[0].upper()}{words[1:]}."


def _effort(gauge: EdgeGauge) -> dict[str, float]:
    # losses alone give a lower bound of the sharpness, Hessian products its value
    return {"exactness": float(gauge.kind != "critical sharpness"), "iterates": float(len(gauge.steps))}


def _example() -> EdgeGauge:
    return EdgeGauge(np.arange(3.0), np.array([1.0, 3, np.nan]), np.ones(3), np.full(3, 4.0), "batch sharpness")


EDGE = Kind(
    name="edge",
    place="edge",
    noun=EdgeGauge,
    order=140,
    section="Edge of stability",
    title="Edge of stability",
    definition="Sharpness over the largest at which the step is stable: λ₁ against 2(1 + β)/η for gradient descent, "
    "batch sharpness for SGD, preconditioned sharpness for Adam. Cohen et al. 2021, 2022; Andreyev and "
    "Beneventano 2024.",
    command="trajmap hessian {run} --edge {objective}",
    example=_example,
    plot=plot_edge,
    caption=lambda gauge: "1: the largest stable sharpness.",
    alternative="Sharpness over its stability threshold by optimizer step",
    findings=each(find_edge),
    effort=_effort,
    follows=("length", "objective"),
)
