"""Loss and gradient norm along gradient walks."""

import numpy as np

from trajmap.data.results.gradient_cloud import GradientCloud
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.walks import plot_gradient_cloud

__all__ = ["CLOUD", "find_cloud"]


def find_cloud(cloud: GradientCloud) -> Finding:
    """How far gradient walks descend, and at what kind of point they end."""
    return Finding(_words, float(cloud.descent), facts={"shares": dict(cloud.shares), "n": len(cloud.losses)})


def _words(found: Finding) -> str:
    kinds = ", ".join(f"{share:.0%} {kind}" for kind, share in found.facts["shares"].items())
    ends = f" and at points that are {kinds}" if kinds else ""
    return f"Gradient walks from {found.facts['n']} random starts end at {found.value:.2g} of their first loss{ends}."


def _example() -> GradientCloud:
    return GradientCloud(np.ones((3, 4)), np.ones((3, 4)), ["saddle", "convex", "saddle"])


CLOUD = Kind(
    name="cloud",
    place="cloud",
    noun=GradientCloud,
    order=103,
    section="Walks",
    title="Gradient walks",
    definition="Loss and gradient norm along walks with the signs of the gradient and random lengths, from random "
    "starts. Bosman et al. 2018.",
    command="trajmap walks {run} {objective}",
    example=_example,
    plot=plot_gradient_cloud,
    caption=lambda cloud: "From random starts: a small gradient at a high loss is a minimum or a saddle.",
    alternative="Loss against gradient norm along gradient walks",
    findings=each(find_cloud),
    effort=lambda cloud: {"walks": float(len(cloud.losses)), "steps": float(cloud.losses.shape[1])},
    follows=("objective",),
)
