"""Scores of several reductions beside what the same reductions score on random walks."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array, frozen_array
from trajmap.data.archive import Saved

__all__ = ["ScoreTable"]


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreTable(Saved):
    """A table reductions × scores, with the null of each cell.

    Parameters
    ----------
    reductions : list of str
        Row names.
    scores : list of str
        Column names.
    values : numpy.ndarray, shape (n_reductions, n_scores)
        Score of the run; NaN where it was not computed.
    null : numpy.ndarray, shape (n_reductions, n_scores, n_draws)
        The same score of the same reduction fitted to random walks with the run's own step norms; NaN where
        not computed.
    higher_is_better : list of bool
        One a score.
    notes : list of str
        One a score: its range and what the number means, for a reader.
    """

    reductions: list[str]
    scores: list[str]
    values: Array
    null: Array
    higher_is_better: list[bool]
    notes: list[str]

    def __post_init__(self) -> None:
        shape = (len(self.reductions), len(self.scores))
        object.__setattr__(self, "values", frozen_array(check_array("values", self.values, shape)))
        object.__setattr__(self, "null", frozen_array(check_array("null", self.null, (*shape, None))))
        for name in ("higher_is_better", "notes"):
            check_array(name, range(len(getattr(self, name))), (shape[1],))

    @property
    def verdicts(self) -> Array:
        """Whether each score beats every random walk: 1 yes, 0 no, NaN where there is no score or no null."""
        sign = np.where(self.higher_is_better, 1.0, -1.0)
        signed = np.where(np.isfinite(self.null), sign[:, None] * self.null, -np.inf)
        best = signed.max(axis=-1, initial=-np.inf)
        known = np.isfinite(best) & np.isfinite(self.values)
        return np.where(known, (sign * self.values > best).astype(float), np.nan)
