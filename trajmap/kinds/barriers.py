"""Barriers between every two of several runs."""

import numpy as np

from trajmap.data.results.barriers import Barriers
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.barriers import plot_barriers

__all__ = ["BARRIERS", "find_barriers"]


def find_barriers(table: Barriers) -> Finding:
    """How many basins the runs are in, judged by straight lines."""
    basins = table.basins
    highest = float(np.nanmax(table.values)) if np.isfinite(table.values).any() else np.nan
    return Finding(_words, float(len(basins)), facts={"n": len(table.names), "highest": highest, "noise": table.noise})


def _words(found: Finding) -> str:
    f = found.facts
    if not np.isfinite(f["noise"]):
        return f"The highest barrier between {f['n']} runs is {f['highest']:.3g}; the noise is not known."
    text = (
        f"Straight lines join {f['n']} runs to {found.value:.0f} basins: barriers up to the sisters' {f['noise']:.3g}"
    )
    return f"{text} count as no barrier; the highest is {f['highest']:.3g}."


def _example() -> Barriers:
    return Barriers(["a", "b", "c"], np.array([[0, 0.1, 1], [0.1, 0, np.nan], [1, np.nan, 0]]), noise=0.2)


BARRIERS = Kind(
    name="barriers",
    place="barriers",
    noun=Barriers,
    order=122,
    section="Basins",
    title="Barriers",
    definition="Highest loss on the straight line between two points, above the mean of the losses at its ends. Runs "
    "within the noise of sister runs, directly or through others, are counted as one basin. Made by "
    "trajmap.barrier_matrix.",
    example=_example,
    plot=plot_barriers,
    caption=lambda table: "Barriers on straight lines between every two runs.",
    alternative="Table of the barriers between every two runs",
    findings=each(find_barriers),
    effort=lambda table: {"runs": float(len(table.names))},
    follows=("length", "objective"),
)
