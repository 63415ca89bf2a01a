"""Tangent, gradient and step inside the Hessian's top eigenspace."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.results.alignment import Alignment
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.alignment import plot_alignments

__all__ = ["ALIGNMENT", "find_alignment"]


def find_alignment(found: Mapping[str, Alignment]) -> Finding:
    """Whether more of the best chart's tangent than of single steps lies in the top eigenspace.

    Parameters
    ----------
    found : mapping of str to Alignment
        Alignments by chart, all with the same number of eigenvectors.

    Returns
    -------
    Finding
        Of the best chart.
    """
    tangents = {name: float(np.nanmedian(one.tangent)) for name, one in found.items()}
    best = max(tangents, key=lambda name: tangents[name])
    chosen = found[best]
    step = float(np.nanmedian(chosen.step))
    low, _, high = (float(q) for q in chosen.baselines["row_space"])
    value = tangents[best]
    known = bool(np.isfinite([value, step, high]).all())
    facts = {
        "name": best,
        "n": len(tangents),
        "k": chosen.eigenvalues.shape[1],
        "gradient": float(np.nanmedian(chosen.gradient)),
        "step": step,
        "expected": chosen.expected,
        "more_than_chance": value > high,
    }
    holds = ("yes" if value > max(high, step) else "no") if known else "unknown"
    return Finding(_words, value, "the chart follows the curved directions", holds, null=(low, high), facts=facts)


def _findings(found: Mapping[str, Alignment], context: Context) -> Sequence[Finding]:
    """Compare only charts with equally many eigenvectors: more of them hold more of any direction."""
    sizes = sorted({one.eigenvalues.shape[1] for one in found.values()})
    return [find_alignment({name: one for name, one in found.items() if one.eigenvalues.shape[1] == k}) for k in sizes]


def _words(found: Finding) -> str:
    f, (low, high) = found.facts, found.null
    text = (
        f"The top {f['k']} eigenvectors hold {f['gradient']:.0%} of the gradient and {f['step']:.0%} of a step (of a "
    )
    text += f"random direction {f['expected']:.2%}), and {found.value:.0%} of the tangent of {f['name']}"
    text += f", the best aligned of {f['n']} charts" if f["n"] > 1 else ""
    text += f"; random planes of the run's own span have {low:.0%} to {high:.0%}: "
    if found.holds == "yes":
        return text + "the chart follows the curved directions."
    if found.holds == "unknown":
        return text + "not all of these are numbers, so there is no answer."
    if f["more_than_chance"]:
        return text + "more than such planes, but less than the single steps that the tangent is made of."
    return text + "the chart is no closer to the eigenvectors than such planes."


def _example() -> Alignment:
    eigenvalues = np.array([[3.0, 2, -1], [4, 2, 1], [5, 2, 0.5]])
    quantiles = np.array([0.01, 0.02, 0.03])
    return Alignment(
        np.array([0.0, 4, 9]),
        eigenvalues,
        0.01 * np.ones((3, 3)),
        np.tile([0.3, 1.2], (3, 1)),
        np.array([0.5, 0.52, 0.5]),
        np.array([0.2, 0.6, 0.9]),
        np.array([0.1, 0.5, np.nan]),
        {"vector": quantiles, "tangent": quantiles, "row_space": np.full(3, 0.1)},
        size=120,
        name="pca",
    )


ALIGNMENT = Kind(
    name="alignment",
    place="alignments/{}",
    noun=Alignment,
    order=160,
    section="Alignment",
    title="Alignment",
    definition="Share of a direction's squared norm inside the top eigenspace, 0 to 1; for a chart the mean over an "
    "orthonormal basis of its tangent. A random direction has k/P, with Beta(k/2, (P−k)/2) quantiles. Gur-Ari et al. "
    "2018.",
    command="trajmap align {run} {objective}",
    example=_example,
    plot=plot_alignments,
    caption=lambda found: "Bands: 5–95 % of random subspaces.",
    alternative="Share of gradient, step and tangent inside the top eigenspace by step, a panel for each chart",
    findings=_findings,
    effort=lambda found: {"eigenpairs": float(found.eigenvalues.shape[1])},
    follows=("length", "objective"),
    together=True,
)
