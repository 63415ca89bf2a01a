"""Derivatives of the loss by inputs, weights or the coordinates of a chart."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.results.sensitivity import Sensitivity
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.sensitivity import plot_sensitivity

__all__ = ["SENSITIVITY", "find_sensitivity"]


def find_sensitivity(found: Sensitivity, by: str = "inputs") -> Finding:
    """Which variables the loss depends on most, by the first and by the second derivative."""
    most: list[Sequence[str]] = [[found.names[i] for i in np.argsort(-row)[:3]] for row in found.mean[:2]]
    facts = {"most": most, "n": len(found.values), "by": by}
    return Finding(_words, float(found.mean[0].max()), null=(float(np.median(found.mean[0])),) * 2, facts=facts)


def _findings(found: Mapping[str, Sensitivity], context: Context) -> Sequence[Finding]:
    return [find_sensitivity(one, by) for by, one in found.items()]


def _words(found: Finding) -> str:
    f = found.facts
    told = "; ".join(f"order {k}: {', '.join(names)}" for k, names in enumerate(f["most"], 1))
    what = "coordinates of the chart" if f["by"] == "chart" else f["by"]
    return f"Of the {what} the loss depends most on {told} (mean absolute derivatives over {f['n']} points)."


def _example() -> Sensitivity:
    return Sensitivity(np.ones((2, 3, 4)) * np.arange(4), list("abcd"))


SENSITIVITY = Kind(
    name="sensitivity",
    place="sensitivity/{}",
    noun=Sensitivity,
    order=180,
    section="Sensitivity",
    title="Sensitivity",
    definition="Mean over the samples of |∂ᵏℓ/∂xᵏ| for each input x, k = 1, 2, 3, by automatic derivatives; or of the "
    "loss by weights, or by a chart's coordinates. Faroz, Sensitivity analysis on the loss landscape.",
    command="trajmap sensitivity {run} {objective}",
    example=_example,
    plot=plot_sensitivity,
    caption=lambda found: "Along the run; each order over its own largest.",
    alternative="Mean absolute derivatives of the loss by",
    findings=_findings,
    effort=lambda found: {"orders": float(found.values.shape[1]), "iterates": float(len(found.values))},
    follows=("length", "objective"),
)
