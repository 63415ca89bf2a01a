"""How much one more sample changes the loss over the Hessian's top subspace."""

import numpy as np

from trajmap.data.results.subspace_convergence import SubspaceConvergence
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.samples import plot_subspace_convergence

__all__ = ["SUBSPACE", "find_subspace"]


def find_subspace(found: SubspaceConvergence) -> Finding:
    """How the variance of the samples' losses around the end compares with that of their second-order expansions."""
    facts = {"sigma": found.sigma, "share": found.quadratic / found.variance if found.variance else np.nan}
    return Finding(_words, found.variance, facts=facts)


def _words(found: Finding) -> str:
    f = found.facts
    return (
        f"Over the top subspace, width {f['sigma']:.2g}, the losses of the samples have variance {found.value:.3g}; "
        f"their second-order expansions have {f['share']:.3g} of it."
    )


def _example() -> SubspaceConvergence:
    return SubspaceConvergence(np.arange(1, 9), np.arange(1.0, 9) ** -2, 1.0, 1.1, 0.1, 0.0, 0.1)


SUBSPACE = Kind(
    name="subspace",
    place="subspace",
    noun=SubspaceConvergence,
    order=171,
    section="Sample size",
    title="Sample size over the top subspace",
    definition="Mean (L(k + 1) − L(k))² over a Gaussian cloud in the Hessian's top subspace: V/(k(k + 1)) exactly, "
    "with V the variance of the samples' losses there.",
    command="trajmap samples {run} {objective}",
    example=_example,
    plot=plot_subspace_convergence,
    caption=lambda found: "Lines: second-order expansions of the samples' losses.",
    alternative="Squared change of the loss over the top subspace by number of samples",
    findings=each(find_subspace),
    follows=("length", "objective"),
)
