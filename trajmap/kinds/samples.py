"""How much one more sample changes the loss."""

import numpy as np

from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.samples import plot_sample_convergence

__all__ = ["SAMPLES", "find_samples"]


def find_samples(found: SampleConvergence) -> Finding:
    """How fast the loss converges as samples are added."""
    facts = {"n": int(found.sizes[-1]), "expected": float(found.expected[-1])}
    return Finding(_words, float(found.slope), null=(-1.0, -1.0), facts=facts)


def _words(found: Finding) -> str:
    f = found.facts
    text = f"One more sample after {f['n']} changes the mean loss by {f['expected']:.2g} on average; "
    return text + f"the change falls with slope {found.value:.3f} in the number of samples (−1 for independent ones)."


def _example() -> SampleConvergence:
    return SampleConvergence(np.arange(1, 9), 1 / np.arange(1.0, 9), -1.0, 1.0, 1.0)


SAMPLES = Kind(
    name="samples",
    place="samples",
    noun=SampleConvergence,
    order=170,
    section="Sample size",
    title="Sample size",
    definition="Mean |L(k + 1) − L(k)| over orders of the samples; for independent samples their losses' mean absolute "
    "deviation over k + 1. Kiselev and Grabovoy 2024.",
    command="trajmap samples {run} {objective}",
    example=_example,
    plot=plot_sample_convergence,
    caption=lambda found: "Dashed: independent samples.",
    alternative="Change of the loss by one more sample, by number of samples",
    findings=each(find_samples),
    effort=lambda found: {"samples": float(found.sizes[-1])},
    follows=("length", "objective"),
)
