"""Random walks away from the end of a run."""

import numpy as np

from trajmap.data.results.walk_rise import WalkRise
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.walks import plot_walk_rise

__all__ = ["WALK", "find_walk"]


def find_walk(walk: WalkRise) -> Finding:
    """How far random walks rise, compared with a quadratic valley."""
    error = float(walk.error[-1] / abs(walk.expected[-1]))
    return Finding(_words, float(walk.ratio), null=(1.0, 1.0), facts={"error": error})


def _words(found: Finding) -> str:
    error = found.facts["error"]
    return f"Random walks rise by {found.value:.3g} ± {error:.1g} of what a quadratic valley would give (1)."


def _example() -> WalkRise:
    return WalkRise(np.outer([1.0, 1.2, 0.8], np.arange(5)), 0.1, 200.0)


WALK = Kind(
    name="walk",
    place="walk",
    noun=WalkRise,
    order=100,
    section="Walks",
    title="Random walks",
    definition="Rise of the loss along random walks from the end of the run, over ½σ²t tr H: 1 in a quadratic valley.",
    command="trajmap walks {run} {objective}",
    example=_example,
    plot=plot_walk_rise,
    caption=lambda walk: "Dashed: what a quadratic valley would show.",
    alternative="Rise of the loss along random walks and the law of a quadratic",
    findings=each(find_walk),
    effort=lambda walk: {"walks": float(len(walk.rises)), "steps": float(walk.rises.shape[1])},
    follows=("length", "objective"),
)
