"""Basins of a landscape by width and depth."""

import numpy as np

from trajmap.data.results.basin_profile import BasinProfile
from trajmap.kinds.kind import Kind
from trajmap.plots.topology import plot_basins

__all__ = ["BASIN_PROFILE"]


def _example() -> BasinProfile:
    return BasinProfile(np.array([[0.0, 1, 2], [0.5, 1, 1.5]]), np.array([[1.0, 5, 9], [1, 2, 4]]))


BASIN_PROFILE = Kind(
    name="basin_profile",
    place="profiles/{}",
    noun=BasinProfile,
    order=71,
    section="Topology",
    title="Basin widths",
    definition="How many grid points of a basin lie at or below a loss: a landscape of any dimension, drawn in two.",
    command="trajmap topology {run}",
    example=_example,
    plot=plot_basins,
    caption=lambda profile: "Each basin as wide as its number of grid points.",
    alternative="Basins by width and depth over",
    no_finding="the merge tree shows how many basins there are and how deep",
)
