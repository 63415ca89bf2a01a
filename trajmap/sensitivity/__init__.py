"""Derivatives of the loss up to third order: which weights, inputs and chart coordinates matter."""

from trajmap.sensitivity.chart import chart_derivatives
from trajmap.sensitivity.derivatives import input_derivatives, weight_derivatives
from trajmap.sensitivity.ranks import rank_agreement, spearman_table
from trajmap.sensitivity.runs import path_sensitivity, retrained_sensitivity

__all__ = [
    "chart_derivatives",
    "input_derivatives",
    "path_sensitivity",
    "rank_agreement",
    "retrained_sensitivity",
    "spearman_table",
    "weight_derivatives",
]
