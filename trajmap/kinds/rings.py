"""Rings of low loss around a hill."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.results.persistence_diagram import PersistenceDiagram
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.topology import plot_persistence

__all__ = ["RINGS", "find_rings"]


def find_rings(diagrams: Mapping[str, PersistenceDiagram]) -> Finding:
    """How many rings there are, and how high the tallest hill is above its ring."""
    heights = [np.diff(diagram.finite, axis=1).ravel() for diagram in diagrams.values()]
    tallest = max((float(found.max()) for found in heights if len(found)), default=np.nan)
    counts = {name: len(diagram.pairs) for name, diagram in diagrams.items()}
    return Finding(_words, float(sum(counts.values())), facts={"counts": counts, "tallest": tallest})


def _findings(found: Mapping[str, PersistenceDiagram], context: Context) -> Sequence[Finding]:
    return [find_rings(found)]


def _words(found: Finding) -> str:
    told = ", ".join(f"{name} {count}" for name, count in found.facts["counts"].items())
    tallest = found.facts["tallest"]
    return f"Rings of low loss around a hill: {told}" + (
        f"; the tallest hill is {tallest:.3g} above its ring." if np.isfinite(tallest) else "."
    )


def _example() -> PersistenceDiagram:
    return PersistenceDiagram(np.array([[0.0, np.inf], [1, 3]]))


RINGS = Kind(
    name="rings",
    place="rings/{}",
    noun=PersistenceDiagram,
    order=72,
    section="Topology",
    title="Rings",
    definition="Classes of degree one of the sublevel sets: birth at the loss where a valley around a hill "
    "closes, death at the hill's top.",
    command="trajmap topology {run} --rings",
    example=_example,
    plot=plot_persistence,
    caption=lambda diagram: "Valleys around a hill: birth where they close, death at its top.",
    alternative="Births and deaths of rings over",
    findings=_findings,
)
