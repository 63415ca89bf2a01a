"""Noise with the model's signs against noise without them."""

from typing import Any

import numpy as np

from trajmap.data.results.asymmetry import Asymmetry
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.asymmetry import plot_asymmetry

__all__ = ["ASYMMETRY", "find_asymmetry"]


def find_asymmetry(sweep: Asymmetry) -> Finding:
    """Whether noise with the model's signs costs less than noise against them, beyond the spread of Gaussian noise."""
    both = np.stack([sweep.plus, sweep.minus])
    facts: dict[str, Any] = {
        "measure": sweep.measure,
        "n": both.size,
        "broken": int((~np.isfinite(both)).sum()),
        "lowest": float(np.nanmin(both, initial=np.inf)),
    }
    claim = "the valley differs on the side of the model's signs"
    if facts["broken"] or facts["lowest"] <= 0:
        return Finding(_words, claim=claim, holds="unknown", facts=facts)
    first, last = float(sweep.ratios[0]), float(sweep.ratios[-1])
    if sweep.shares[0] > 0:
        return Finding(_words, last, claim, "unknown", facts=facts)
    # the control's own spread over its draws, in the logarithm: two standard errors around it
    logs = np.log(sweep.minus[0] / sweep.plus[0])
    room = abs(np.log(first)) + 2 * float(np.std(logs) / np.sqrt(len(logs)))
    holds = "yes" if abs(np.log(last)) > room else "no"
    null = (float(np.exp(-room)), float(np.exp(room)))
    return Finding(_words, last, claim, holds, null=null, facts=facts | {"control": first})


def _words(found: Finding) -> str:
    f = found.facts
    if f["broken"]:
        return f"The {f['measure']} is not a number in {f['broken']} of {f['n']} draws."
    if f["lowest"] <= 0:
        return f"The {f['measure']} falls to {f['lowest']:.3g}: ratios of it mean nothing."
    text = f"Noise against the model's signs leads to {found.value:.3g} times the {f['measure']} of noise with them; "
    if not np.isfinite(found.null[0]):
        return text + "no Gaussian noise was measured, so there is no answer."
    text += f"for Gaussian noise, where the sides are alike, the ratio is {f['control']:.3g}"
    text += f" ({found.null[0]:.3g} to {found.null[1]:.3g}): "
    if found.holds == "no":
        return text + "no asymmetry beyond chance."
    return text + f"the valley is {'flatter' if found.value > 1 else 'steeper'} on the side of the model's signs."


def _example() -> Asymmetry:
    return Asymmetry(np.array([0.0, 1]), np.ones((2, 3)), np.array([[1.0, 1, 1], [2, 3, np.nan]]))


ASYMMETRY = Kind(
    name="asymmetry",
    place="asymmetry",
    noun=Asymmetry,
    order=90,
    section="Asymmetry",
    title="Asymmetry",
    definition="Loss at θ − ε over loss at θ + ε, for noise ε of which a share of entries has the model's signs: 1 for "
    "a symmetric valley. Li et al. 2024.",
    command="trajmap lines {run} {objective}",
    example=_example,
    plot=plot_asymmetry,
    caption=lambda sweep: "Share 0, Gaussian noise, is the control.",
    alternative="Loss on both sides of the model by the share of its signs in the noise",
    findings=each(find_asymmetry),
    effort=lambda sweep: {"draws": float(sweep.plus.shape[1])},
    follows=("length", "objective"),
)
