"""The loss in directions that leave a chart."""

import numpy as np

from trajmap.data.results.normal_profile import NormalProfile
from trajmap.kinds.kind import Kind
from trajmap.plots.normal_profile import plot_normal_profile

__all__ = ["NORMAL_PROFILE"]


def _example() -> NormalProfile:
    offsets = np.linspace(-1, 1, 5)
    losses = np.stack([np.full(5, np.nan), offsets**2, np.ones(5)])
    names = ["downhill", "highest curvature", "random 1"]
    return NormalProfile(offsets, losses, names, np.array([-1.0, 2]), 0.0, 0.5, 0.0, "pca")


NORMAL_PROFILE = Kind(
    name="normal_profile",
    place="normal_profiles/{}",
    noun=NormalProfile,
    order=54,
    section="Charts",
    title="Normal profile",
    definition="The loss along lines that leave a chart at one of its points: downhill, along the highest and the "
    "lowest curvature off the chart, and in random directions. Made by trajmap.normal_profile.",
    example=_example,
    plot=plot_normal_profile,
    caption=lambda profile: "Leaving the chart at one of its points.",
    alternative="Loss along lines that leave the chart",
    no_finding="it is computed for one point of one chart at a time, and the picture shows the loss there",
    follows=("length", "objective"),
)
