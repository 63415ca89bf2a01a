"""Scores of reductions, each with its null value. This package does not use torch."""

from trajmap.scores.claim_direction import moved_with_direction
from trajmap.scores.claim_order import order_matters
from trajmap.scores.claim_reproducible import reproducible, reproducible_beyond_line
from trajmap.scores.columns import ALL_COLUMNS, COLUMNS
from trajmap.scores.compare import compare_reductions
from trajmap.scores.dimension import (
    correlation_dimension,
    likelihood_dimension,
    participation_ratio,
    two_nn_dimension,
)
from trajmap.scores.distances import path_order, shepard_correlation, stress
from trajmap.scores.neighbourhood import continuity, local_continuity, neighbour_overlap, trustworthiness
from trajmap.scores.null import explained_variance, random_walk, random_walk_ratios, step_norms
from trajmap.scores.null_tests import null_test
from trajmap.scores.rank_errors import rank_error_after, rank_error_before
from trajmap.scores.reconstruction import OtherRun, reconstruction_error, transfer_error
from trajmap.scores.stability import seed_stability
from trajmap.scores.statistics import (
    STATISTICS,
    kernel_dimension,
    leading_share,
    lissajous_index,
    msd_exponent,
    score_statistic,
    step_cosine,
)
from trajmap.scores.surrogates import SURROGATES, block_shuffles, ornstein_uhlenbeck, sign_flips, walks
from trajmap.scores.table import null_scores, score, score_table
from trajmap.scores.validation import InterleavedSplit, TailSplit, TimeBlockSplit, held_out

__all__ = [
    "ALL_COLUMNS",
    "COLUMNS",
    "STATISTICS",
    "SURROGATES",
    "InterleavedSplit",
    "OtherRun",
    "TailSplit",
    "TimeBlockSplit",
    "block_shuffles",
    "compare_reductions",
    "continuity",
    "correlation_dimension",
    "explained_variance",
    "held_out",
    "kernel_dimension",
    "leading_share",
    "likelihood_dimension",
    "lissajous_index",
    "local_continuity",
    "moved_with_direction",
    "msd_exponent",
    "neighbour_overlap",
    "null_scores",
    "null_test",
    "order_matters",
    "ornstein_uhlenbeck",
    "participation_ratio",
    "path_order",
    "random_walk",
    "random_walk_ratios",
    "rank_error_after",
    "rank_error_before",
    "reconstruction_error",
    "reproducible",
    "reproducible_beyond_line",
    "score",
    "score_statistic",
    "score_table",
    "seed_stability",
    "shepard_correlation",
    "sign_flips",
    "step_cosine",
    "step_norms",
    "stress",
    "transfer_error",
    "trustworthiness",
    "two_nn_dimension",
    "walks",
]
