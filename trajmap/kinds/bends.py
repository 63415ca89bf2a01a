"""Curvatures of random directions."""

import numpy as np

from trajmap.data.results.direction_curvatures import DirectionCurvatures
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.direction_curvatures import plot_direction_curvatures

__all__ = ["BENDS", "find_bends"]


def find_bends(found: DirectionCurvatures) -> Finding:
    """How many random directions curve up, and what the spectrum predicts."""
    facts = {"n": len(found.values), "mean": float(found.values.mean()), "expected": found.mean}
    return Finding(_words, found.share_up, facts=facts)


def _words(found: Finding) -> str:
    f = found.facts
    return (
        f"{found.value:.0%} of {f['n']} random directions curve up, by {f['mean']:.3g} on average; the Hessian's trace "
        f"predicts {f['expected']:.3g}."
    )


def _example() -> DirectionCurvatures:
    return DirectionCurvatures(np.linspace(0.1, 0.3, 20), 0.2, 0.05)


BENDS = Kind(
    name="bends",
    place="bends",
    noun=DirectionCurvatures,
    order=81,
    section="Lines",
    title="Curvatures of random directions",
    definition="Second derivatives of the loss along random unit directions. Their mean is tr H/P and their deviation "
    "follows from the spectrum, so they do not describe single directions.",
    command="trajmap lines {run} {objective}",
    example=_example,
    plot=plot_direction_curvatures,
    caption=lambda found: "Random directions show the mean curvature: on average they curve up if it is positive.",
    alternative="Histogram of the curvatures of random directions",
    findings=each(find_bends),
    effort=lambda found: {"directions": float(len(found.values))},
    follows=("length", "objective"),
)
