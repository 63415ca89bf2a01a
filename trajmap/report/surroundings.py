"""What was found around the end of a run, and in its data, as data. The words are in `sentences`."""

from typing import Any

import numpy as np

from trajmap.data.artefacts import Artefacts
from trajmap.data.results.asymmetry import Asymmetry
from trajmap.data.results.gradient_cloud import GradientCloud
from trajmap.data.results.noise_rise import NoiseRise
from trajmap.data.results.permutation_paths import PermutationPaths
from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.data.results.walk_rise import WalkRise
from trajmap.report import sentences as say
from trajmap.report.finding import Finding

__all__ = ["find_asymmetry", "find_samples", "find_walks"]


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
        return Finding(say.asymmetry, claim=claim, holds="unknown", facts=facts)
    first, last = float(sweep.ratios[0]), float(sweep.ratios[-1])
    if sweep.shares[0] > 0:
        return Finding(say.asymmetry, last, claim, "unknown", facts=facts)
    # the control's own spread over its draws, in the logarithm: two standard errors around it
    logs = np.log(sweep.minus[0] / sweep.plus[0])
    room = abs(np.log(first)) + 2 * float(np.std(logs) / np.sqrt(len(logs)))
    holds = "yes" if abs(np.log(last)) > room else "no"
    null = (float(np.exp(-room)), float(np.exp(room)))
    return Finding(say.asymmetry, last, claim, holds, null=null, facts=facts | {"control": first})


def find_walks(artefacts: Artefacts) -> Finding | None:
    """Take what random walks, permuted copies, noise and gradient walks met, as far as they were made."""
    walk, paths = artefacts.one("walk", WalkRise), artefacts.one("permutations", PermutationPaths)
    noise, cloud = artefacts.one("noise", NoiseRise), artefacts.one("cloud", GradientCloud)
    facts: dict[str, Any] = {}
    if walk is not None:
        facts["walk"] = float(walk.error[-1] / abs(walk.expected[-1]))
    if noise is not None:
        middle = len(noise.scales) // 2
        facts["noise"] = (float(noise.scales[middle]), float(noise.rises[middle]))
    if paths is not None:
        heights = paths.barriers.mean(axis=1)
        facts["permutations"] = (int(paths.counts[0]), int(paths.counts[-1]), float(heights[0]), float(heights[-1]))
    if cloud is not None:
        facts["cloud"] = (float(cloud.descent), dict(cloud.shares))
    if not facts:
        return None
    return Finding(say.walks, np.nan if walk is None else float(walk.ratio), null=(1.0, 1.0), facts=facts)


def find_samples(found: SampleConvergence) -> Finding:
    """How fast the loss settles as samples are added."""
    facts = {"n": int(found.sizes[-1]), "expected": float(found.expected[-1])}
    return Finding(say.samples, float(found.slope), null=(-1.0, -1.0), facts=facts)
