"""How saturated the activations of a network are along a run."""

import numpy as np

from trajmap.data.results.saturation import Saturation
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.saturation import plot_saturation

__all__ = ["SATURATION", "find_saturation"]


def find_saturation(found: Saturation) -> Finding:
    """Which layer is most saturated at the end, and its saturation at the start."""
    last = int(np.nanargmax(found.values[-1])) if np.isfinite(found.values[-1]).any() else 0
    facts = {"name": found.names[last], "first": float(found.values[0, last]), "n": len(found.names)}
    return Finding(_words, float(found.values[-1, last]), facts=facts)


def _words(found: Finding) -> str:
    f = found.facts
    which = f"Of {f['n']} activation layers the most saturated is {f['name']}" if f["n"] > 1 else f"Layer {f['name']}"
    return f"{which}: {f['first']:.2g} at the start, {found.value:.2g} at the end (of 1)."


def _example() -> Saturation:
    return Saturation(np.arange(3.0), np.full((3, 2), 0.5), ["1", "3"])


SATURATION = Kind(
    name="saturation",
    place="saturation",
    noun=Saturation,
    order=104,
    section="Walks",
    title="Saturation",
    definition="0 to 1. Tanh and sigmoid: mean distance from the middle of the range, 1 where every unit is at an end. "
    "ReLU: share of outputs that are zero.",
    command="trajmap walks {run} {objective}",
    example=_example,
    plot=plot_saturation,
    caption=lambda found: "Tanh and sigmoid: distance from the middle; ReLU: zeros.",
    alternative="Saturation of each activation layer by optimizer step",
    findings=each(find_saturation),
    follows=("length", "objective"),
)
