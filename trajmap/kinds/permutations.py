"""Barriers to equal networks with hidden units swapped."""

import numpy as np

from trajmap.data.results.permutation_paths import PermutationPaths
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.walks import plot_permutation_paths

__all__ = ["PERMUTATIONS", "find_permutations"]


def find_permutations(paths: PermutationPaths) -> Finding:
    """How high the loss climbs on the line to an equal network, by the number of swapped units."""
    heights = paths.barriers.mean(axis=1)
    facts = {"fewest": int(paths.counts[0]), "most": int(paths.counts[-1]), "first": float(heights[0])}
    return Finding(_words, float(heights[-1]), facts=facts)


def _words(found: Finding) -> str:
    f = found.facts
    return (
        f"Equal networks with {f['fewest']} to {f['most']} units swapped have barriers of {f['first']:.2g} to "
        f"{found.value:.2g}."
    )


def _example() -> PermutationPaths:
    return PermutationPaths(np.array([2, 8]), np.linspace(0, 1, 3), np.array([[[1.0, 2, 1]], [[1, 4, 1]]]))


PERMUTATIONS = Kind(
    name="permutations",
    place="permutations",
    noun=PermutationPaths,
    order=102,
    section="Walks",
    title="Permuted copies",
    definition="Highest loss on the straight line to an equal network with pairs of hidden units swapped. Liao et al. "
    "2024.",
    command="trajmap walks {run} {objective}",
    example=_example,
    plot=plot_permutation_paths,
    caption=lambda paths: "Equal networks at both ends.",
    alternative="Loss on the lines to equal networks with units swapped",
    findings=each(find_permutations),
    effort=lambda paths: {"draws": float(paths.losses.shape[1])},
    follows=("length", "objective"),
)
