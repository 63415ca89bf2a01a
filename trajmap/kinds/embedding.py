"""The run in the coordinates of a chart, without a landscape."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.reduction import Reduction
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.kinds.variance import VARIANCE, find_variance
from trajmap.plots.embedding import plot_embedding

__all__ = ["EMBEDDING"]


def _cautions(found: Mapping[str, Reduction], context: Context) -> Sequence[Finding]:
    reduction = found.get("pca")
    if reduction is None:
        return []
    Z = reduction.Z
    wave = np.cos(np.pi * (np.arange(len(Z)) + 0.5) / len(Z))
    index = abs(float(np.corrcoef(Z[:, 0], wave)[0, 1]))
    spectrum = context.artefacts.one(VARIANCE)
    # a run that was shown to be straighter than a walk is not described as one
    straighter = spectrum is not None and find_variance(spectrum).holds == "yes"
    return [Finding(_wave, index)] if index > 0.9 and not straighter else []


def _wave(found: Finding) -> str:
    return (
        f"The first principal component follows a half cosine of time (correlation {found.value:.3f}): a random walk "
        "draws the same smooth arc, so the arc alone means nothing."
    )


def _example() -> Reduction:
    return Reduction(np.eye(6), np.eye(6, 2), np.eye(6), "pca")


EMBEDDING = Kind(
    name="embedding",
    place="embeddings/{}",
    noun=Reduction,
    order=40,
    section="Charts",
    title="Embedding",
    definition="The iterates in two coordinates, and their lifts. Distances, gaps and "
    "turns in the picture are those of the chart, not of parameter space: the scores show how reliable they are.",
    command="trajmap embed {run}",
    example=_example,
    plot=plot_embedding,
    caption=lambda reduction: "Early iterates dark, late ones bright.",
    alternative="Iterates in the coordinates of the chart",
    no_finding="the scores show what a chart keeps, the lift gap what its lifts cost",
    cautions=_cautions,
)
