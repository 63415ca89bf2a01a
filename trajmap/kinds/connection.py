"""Paths from the end of a run to the ends of other runs."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.results.connection import Connection
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.connection import plot_connection

__all__ = ["CONNECTION", "find_basins"]


def find_basins(connections: Mapping[str, Connection]) -> Finding:
    """Whether other runs ended in this run's basin."""
    answers = {found.holds for found in connections.values()}
    holds = "yes" if answers == {"one"} else "no" if "two" in answers else "unknown"
    climbs = {name: found.climb(found.way) if found.way else np.nan for name, found in connections.items()}
    highest = max(climbs, key=lambda name: np.nan_to_num(climbs[name], nan=-1.0))
    of_highest = connections[highest]
    low, high = of_highest.interval(of_highest.way) if of_highest.way else (np.nan, np.nan)
    facts = {"verdicts": {name: found.verdict for name, found in connections.items()}}
    return Finding(
        _words, climbs[highest], "the other runs ended in this run's basin", holds, low=low, high=high,
        null=(0.0, of_highest.limit(of_highest.way) if of_highest.way else np.nan), facts=facts,
    )  # fmt: skip


def _findings(found: Mapping[str, Connection], context: Context) -> Sequence[Finding]:
    return [find_basins(found)]


def _words(found: Finding) -> str:
    return "; ".join(f"{name}: {verdict}" for name, verdict in found.facts["verdicts"].items()) + "."


def _example() -> Connection:
    t = np.linspace(0, 1, 7)
    losses = np.stack([1 + np.sin(np.pi * t), np.full(7, np.nan), np.linspace(1, 1.1, 7)])
    return Connection(t, losses, np.ones(3), 0.2, "other")


CONNECTION = Kind(
    name="connection",
    place="connections/{}",
    noun=Connection,
    order=120,
    section="Basins",
    title="Climb",
    definition="Highest loss along a path between two points above the straight line between their losses; 0 if there "
    "is no climb. After matching: hidden units of the other network permuted (weight matching, Ainsworth et al. "
    "2023). Along a curve: a Bézier curve trained between them (Garipov et al. 2018).",
    command="trajmap basin {run} OTHER --sister RUN {objective}",
    example=_example,
    plot=plot_connection,
    caption=lambda found: "Loss along the paths between the ends of two runs.",
    alternative="Loss along the paths to the end of the run",
    findings=_findings,
    effort=lambda found: {
        "ways": float(np.isfinite(found.losses).all(axis=1).sum()),
        "sisters": float(found.n_sisters),
    },
    follows=("length", "objective"),
)
