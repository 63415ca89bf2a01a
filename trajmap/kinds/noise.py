"""Loss under noise around the end of a run."""

import numpy as np

from trajmap.data.results.noise_rise import NoiseRise
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.walks import plot_noise_rise

__all__ = ["NOISE", "find_noise"]


def find_noise(noise: NoiseRise) -> Finding:
    """How much noise of a middle size raises the loss."""
    middle = len(noise.scales) // 2
    return Finding(_words, float(noise.rises[middle]), facts={"scale": float(noise.scales[middle])})


def _words(found: Finding) -> str:
    return f"Noise of {found.facts['scale']:.2g} of the weights' norm raises the loss by {found.value:.3g}."


def _example() -> NoiseRise:
    return NoiseRise(np.array([0.1, 0.5]), np.array([[1.0, 1.1], [50, np.nan]]), 0.9)


NOISE = Kind(
    name="noise",
    place="noise",
    noun=NoiseRise,
    order=101,
    section="Walks",
    title="Noise",
    definition="Mean loss at the end of the run plus Gaussian noise, by the noise's norm over the weights' norm.",
    command="trajmap walks {run} {objective}",
    example=_example,
    plot=plot_noise_rise,
    caption=lambda noise: "The wider the valley, the later the loss rises.",
    alternative="Loss under noise by its norm",
    findings=each(find_noise),
    effort=lambda noise: {"draws": float(noise.losses.shape[1])},
    follows=("length", "objective"),
)
