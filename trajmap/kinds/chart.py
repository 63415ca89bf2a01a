"""A fitted chart: what makes its coordinates and its lifts, without the run's own numbers."""

import numpy as np

from trajmap.data.chart_state import ChartState
from trajmap.kinds.kind import Kind

__all__ = ["CHART"]


def _example() -> ChartState:
    fitted = {"components_": np.eye(2, 3), "mean_": np.zeros(3), "n_components_": 2, "n_features_in_": 3}
    return ChartState({"class": "PCA", "parameters": {"n_components": 2}, "fitted": fitted}, "pca")


CHART = Kind(
    name="chart",
    place="charts/{}",
    noun=ChartState,
    order=38,
    section="",
    title="Chart",
    definition="What a fit found, as arrays and plain values: the class of the estimator, its parameters and its "
    "fitted attributes. Every verb loads the chart that `trajmap embed` kept, so all speak of one fit.",
    command="trajmap embed {run}",
    example=_example,
    no_picture="the embedding is its picture",
    no_finding="what it keeps of the run is told by the scores",
)
