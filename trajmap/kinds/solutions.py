"""A tree of the ends of several runs."""

import numpy as np

from trajmap.data.results.solution_tree import SolutionTree
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.solutions import plot_solution_tree

__all__ = ["SOLUTIONS", "find_solutions"]


def find_solutions(tree: SolutionTree) -> Finding:
    """Whether a tree describes the ends of the runs better than it describes random points."""
    null = (float(tree.null.min()), float(tree.null.max()))
    holds = "unknown" if len(tree.names) < 6 else "yes" if tree.is_tree else "no"
    facts = {"n": len(tree.names), "verdict": tree.verdict}
    return Finding(_words, tree.cophenetic, "the ends of the runs form a hierarchy", holds, null=null, facts=facts)


def _words(found: Finding) -> str:
    return f"Tree of the {found.facts['n']} ends: {found.facts['verdict']}."


def _example() -> SolutionTree:
    linkage = np.array([[0.0, 1, 1, 2], [2, 3, 4, 3]])
    return SolutionTree(linkage, 0.9, np.array([0.5, 0.6]), np.eye(3), ["a", "b", "c"])


SOLUTIONS = Kind(
    name="solutions",
    place="solutions",
    noun=SolutionTree,
    order=121,
    section="Basins",
    title="Tree of solutions",
    definition="Ends of several runs, hidden units matched, joined by average linkage. Cophenetic correlation: how "
    "well the tree's distances fit the true ones, 1 for a hierarchy; null: isotropic points with the same norms.",
    command="trajmap basin {run} OTHER ANOTHER {objective}",
    example=_example,
    plot=plot_solution_tree,
    caption=lambda tree: "Ends of the runs, hidden units matched, by average linkage.",
    alternative="Dendrogram of the ends of several runs",
    findings=each(find_solutions),
    effort=lambda tree: {"runs": float(len(tree.names))},
)
