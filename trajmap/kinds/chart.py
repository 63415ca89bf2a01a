"""A fitted chart: what computes its coordinates and lifts, without the data of the run."""

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
    definition="Result of a fit, as arrays and plain values: the class of the estimator, its parameters and its "
    "fitted attributes. Every verb loads the chart saved by `trajmap embed`, so all use the same fit.",
    command="trajmap embed {run}",
    example=_example,
    no_picture="the embedding is its picture",
    no_finding="the scores show how much of the run it keeps",
)
