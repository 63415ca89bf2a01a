"""Minima and saddles of a landscape."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.results.merge_tree import MergeTree
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.topology import plot_merge_tree

__all__ = ["MERGE_TREE", "find_topology"]


def find_topology(trees: Mapping[str, MergeTree]) -> Finding:
    """How many minima the pictures show, where they were counted, and how many are inside."""
    return Finding(_words, float(sum(tree.n_minima for tree in trees.values())), facts={"trees": trees})


def _findings(found: Mapping[str, MergeTree], context: Context) -> Sequence[Finding]:
    return [find_topology(found)]


def _words(found: Finding) -> str:
    told = []
    for name, tree in found.facts["trees"].items():
        inside, apart = int((~tree.boundary).sum()), int(np.isinf(tree.deaths).sum())
        cells = " on supported cells" if tree.supported else ""
        text = f"{name} {tree.n_minima}{cells} ({inside} inside), {tree.n_saddles} saddles"
        if apart > 1:
            text += f", {apart} parts joined only through cells that were left out so they may be one basin"
        told.append(text)
    return f"Minima: {'; '.join(told)}. A minimum on the edge of what was counted may be a slope that continues."


def _example() -> MergeTree:
    vertices, saddles, rows = np.array([3, 0]), np.array([-1, 1]), np.array([-1, 0])
    births, deaths = np.array([0.1, 1.0]), np.array([np.inf, 3.0])
    return MergeTree(vertices, saddles, births, deaths, rows, np.array([1, 0, 0, 0, -1]), np.array([False, True]), 9.0)


MERGE_TREE = Kind(
    name="merge_tree",
    place="topology/{}",
    noun=MergeTree,
    order=70,
    section="Topology",
    title="Topology",
    definition="Minima and saddles of the loss on the grid with its diagonals, basins less deep than 1 % of the range "
    "left out; average persistence: mean height from a minimum to the saddle where its basin ends. Xie et al. 2024.",
    command="trajmap topology {run}",
    example=_example,
    plot=plot_merge_tree,
    caption=lambda tree: "Basins of the landscape: each ends where it meets a deeper one.",
    alternative="Merge tree of the landscape over",
    findings=_findings,
)
