"""Explained variance of the principal components and of random walks."""

import numpy as np

from trajmap.data.results.variance_spectrum import VarianceSpectrum
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.variance import plot_variance

__all__ = ["VARIANCE", "find_variance"]


def find_variance(spectrum: VarianceSpectrum) -> Finding:
    """Whether two components hold more than those of a random walk."""
    held = float(spectrum.ratios[:2].sum())
    draws = spectrum.null[:, :2].sum(axis=1)
    null, p, where = Finding.of_draws(held, draws)
    holds = {"above": "yes", "unknown": "unknown"}.get(where, "no")
    facts = {"where": where, "n_draws": len(draws), "middle": float(np.median(draws)) if len(draws) else np.nan}
    return Finding(_words, held, "straighter or flatter than a walk", holds, null=null, p=p, facts=facts)


def _words(found: Finding) -> str:
    (low, high), f = found.null, found.facts
    text = f"Two principal components hold {found.value:.1%} of the variance"
    if not f["n_draws"]:
        return text + "; no random walk was drawn, so this cannot be judged."
    text += (
        f"; {f['n_draws']} random walks with the same steps hold {f['middle']:.1%} (5–95 %: {low:.1%} to {high:.1%})"
    )
    ends = {
        "above": f", so the run is straighter or flatter than a walk (p = {found.p:.2g}); that alone does not make "
        "it two-dimensional.",
        "below": f", so the run is spread over more directions than a walk (p = {found.p:.2g}).",
        "inside": f": this is what a random walk shows (p = {found.p:.2g}), no evidence of a low-dimensional run.",
        "unknown": ": too few to decide.",
    }
    return text + ends[f["where"]]


def _example() -> VarianceSpectrum:
    return VarianceSpectrum(np.array([0.7, 0.2, 0.1]), np.full(3, 0.3), np.tile([0.6, 0.15, 0.07], (4, 1)))


VARIANCE = Kind(
    name="variance",
    place="variance",
    noun=VarianceSpectrum,
    order=30,
    section="Explained variance",
    title="Explained variance",
    definition="Share of a mean-centred principal component, 0 to 1. Null: random walks with the run's length, "
    "dimension and step norms; an endless walk has 6/(π²k²). Antognini and Sohl-Dickstein 2018.",
    command="trajmap score {run}",
    example=_example,
    plot=plot_variance,
    caption=lambda spectrum: "Dots: this run; grey: random walks with its step norms.",
    alternative="Explained variance of the principal components and of random walks",
    findings=each(find_variance),
    effort=lambda spectrum: {"draws": float(len(spectrum.null))},
)
