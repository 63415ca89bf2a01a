"""What was found around the end of a run, and in its data, in one plain sentence a section. No HTML here."""

import numpy as np

from trajmap.data.artefacts import Artefacts
from trajmap.data.asymmetry import Asymmetry
from trajmap.data.gradient_cloud import GradientCloud
from trajmap.data.noise_rise import NoiseRise
from trajmap.data.permutation_paths import PermutationPaths
from trajmap.data.sample_convergence import SampleConvergence
from trajmap.data.walk_rise import WalkRise
from trajmap.report.findings import Finding

__all__ = ["find_asymmetry", "find_samples", "find_walks"]


def find_asymmetry(sweep: Asymmetry) -> Finding:
    """Say whether noise with the model's signs costs less than noise against them, beside Gaussian noise."""
    both = np.stack([sweep.plus, sweep.minus])
    broken, low = int((~np.isfinite(both)).sum()), float(np.nanmin(both, initial=np.inf))
    if broken:
        return Finding(f"The {sweep.measure} is not a number in {broken} of {both.size} draws.", np.nan, 1.0, None)
    if low <= 0:
        return Finding(f"The {sweep.measure} falls to {low:.3g}: ratios of it say nothing.", np.nan, 1.0, None)
    first, last = float(sweep.ratios[0]), float(sweep.ratios[-1])
    text = f"Noise against the model's signs leads to {last:.3g} times the {sweep.measure} of noise with them; "
    if sweep.shares[0] > 0:
        return Finding(text + "no Gaussian noise was measured, so nothing is said.", last, np.nan, None)
    text += f"for Gaussian noise, where the sides are alike, the ratio is {first:.3g}: "
    # the control's own spread over its draws, in the logarithm
    logs = np.log(sweep.minus[0] / sweep.plus[0])
    spread = 2 * float(np.std(logs) / np.sqrt(len(logs)))
    beyond = bool(abs(np.log(last)) > abs(np.log(first)) + spread)
    flat = "flatter" if last > 1 else "steeper"
    text += f"the valley is {flat} on the side of the model's signs." if beyond else "no asymmetry beyond chance."
    return Finding(text, last, first, None)


def find_walks(artefacts: Artefacts) -> Finding | None:
    """Say what random walks, permuted copies, noise and gradient walks met, as far as they were made."""
    walk, paths = artefacts.one("walk", WalkRise), artefacts.one("permutations", PermutationPaths)
    noise, cloud = artefacts.one("noise", NoiseRise), artefacts.one("cloud", GradientCloud)
    told, number = [], np.nan
    if walk is not None:
        number, off = walk.ratio, float(walk.error[-1] / abs(walk.expected[-1]))
        told.append(f"random walks rise by {number:.3g} ± {off:.1g} of what a quadratic valley would give (1)")
    if noise is not None:
        i = len(noise.scales) // 2
        told.append(f"noise of {noise.scales[i]:.2g} of the weights' norm raises the loss by {noise.rises[i]:.3g}")
    if paths is not None:
        heights = paths.barriers.mean(axis=1)
        told.append(
            f"equal networks with {paths.counts[0]} to {paths.counts[-1]} units swapped lie behind barriers of "
            f"{heights[0]:.2g} to {heights[-1]:.2g}"
        )
    if cloud is not None:
        kinds = ", ".join(f"{share:.0%} {kind}" for kind, share in cloud.shares.items())
        ends = f" and end at points that are {kinds}" if kinds else ""
        told.append(f"gradient walks from random starts keep {cloud.descent:.2g} of the loss{ends}")
    if not told:
        return None
    text = "; ".join(told) + "."
    return Finding(text[0].upper() + text[1:], number, 1.0, None)


def find_samples(found: SampleConvergence) -> Finding:
    """Say how fast the loss settles as samples are added."""
    n = int(found.sizes[-1]) + 1
    text = f"One more sample after {n - 1} changes the mean loss by {found.expected[-1]:.2g} in the mean; "
    text += f"the change falls with slope {found.slope:.3f} in the number of samples (−1 for independent ones)."
    return Finding(text, found.slope, -1.0, None)
