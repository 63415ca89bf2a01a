"""Scores of reductions, each with the value that means nothing was found. No torch here."""

from trajmap.scores.neighbourhood import continuity, neighbour_overlap, trustworthiness
from trajmap.scores.null import explained_variance, random_walk, random_walk_ratios, step_norms
from trajmap.scores.reconstruction import OtherRun, reconstruction_error, transfer_error
from trajmap.scores.table import null_test, score, score_table
from trajmap.scores.validation import TimeBlockSplit, held_out

__all__ = [
    "OtherRun",
    "TimeBlockSplit",
    "continuity",
    "explained_variance",
    "held_out",
    "neighbour_overlap",
    "null_test",
    "random_walk",
    "random_walk_ratios",
    "reconstruction_error",
    "score",
    "score_table",
    "step_norms",
    "transfer_error",
    "trustworthiness",
]
