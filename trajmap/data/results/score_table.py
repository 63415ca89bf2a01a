"""Scores of several reductions, and of the same reductions on random walks."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.claim import ALPHA
from trajmap.data.shapes import Shape

__all__ = ["FEWEST_DRAWS", "ScoreTable"]

FEWEST_DRAWS = round(1 / ALPHA) - 1
"""Draws of a null without which a score is not judged: p ≤ .05 needs 19."""


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreTable(Saved, rows=("n_reductions", "n_scores")):
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
        One per score.
    notes : list of str
        One per score: its range and what the number means.
    """

    reductions: Annotated[list[str], Shape("n_reductions")]
    scores: Annotated[list[str], Shape("n_scores")]
    values: Annotated[Array, Shape("n_reductions", "n_scores")]
    null: Annotated[Array, Shape("n_reductions", "n_scores", "n_draws")]
    higher_is_better: Annotated[list[bool], Shape("n_scores")]
    notes: Annotated[list[str], Shape("n_scores")]

    @property
    def verdicts(self) -> Array:
        """How each score compares with the random walks'.

        1 better than every one, 0 within their range, −1 worse than every one, NaN where there is no score or fewer
        than 19 walks: of fewer, one by chance is better than all more than once in twenty times.
        """
        sign = np.where(self.higher_is_better, 1.0, -1.0)
        signed, known = sign[:, None] * self.null, np.isfinite(self.null)
        best = np.where(known, signed, -np.inf).max(axis=-1, initial=-np.inf)
        worst = np.where(known, signed, np.inf).min(axis=-1, initial=np.inf)
        values = sign * self.values
        found = (values > best).astype(float) - (values < worst)
        return np.where((known.sum(axis=-1) >= FEWEST_DRAWS) & np.isfinite(self.values), found, np.nan)

    @property
    def recommendation(self) -> str:
        """The result in words: the row with the smallest held-out error, and whether it is evidence."""
        column = self._decisive()
        if column is None:
            return "no held-out error was computed, so nothing can be recommended"
        name = self.scores[column]
        errors = self.values[:, column]
        best = int(np.nanargmin(errors))
        text = f"{self.reductions[best]} has the smallest {name}, {errors[best]:.3g}"
        verdict = self.verdicts[best, column]
        if np.isnan(verdict):
            return text + f"; without {FEWEST_DRAWS} random walks, this cannot be judged"
        if verdict < 0:
            return text + ", worse than every random walk's: none of these shapes is evidence"
        if verdict == 0:
            return text + ", but random walks reach it: none of these shapes is evidence"
        tail = self.values[best, self.scores.index("error on tail")] if "error on tail" in self.scores else np.nan
        worse = "; it does not extrapolate, so mask what lies beyond the run" if tail > 1 else ""
        poor = ", but worse than the mean" if errors[best] > 1 else ""
        return text + poor + ", below every random walk" + worse

    def _decisive(self) -> int | None:
        """Column of the hardest hold-out that was computed."""
        for name in ("error on sister", "error on blocks", "error on tail"):
            if name in self.scores and np.isfinite(self.values[:, self.scores.index(name)]).any():
                return self.scores.index(name)
        return None

    def __str__(self) -> str:
        """Lay the table out in columns, each score with the range of its null and the comparison below it."""
        width = max(len(name) for name in self.reductions) + 2
        columns = [max(len(name) + 2, 26) for name in self.scores]
        lines = ["".ljust(width) + "".join(n.rjust(w) for n, w in zip(self.scores, columns, strict=True))]
        for name, values, null, verdicts in zip(self.reductions, self.values, self.null, self.verdicts, strict=True):
            lines.append(name.ljust(width) + "".join(f"{v:{w}.4g}" for v, w in zip(values, columns, strict=True)))
            ranges = (_range(d[np.isfinite(d)], v) for d, v in zip(null, verdicts, strict=True))
            lines.append("  walks".ljust(width) + "".join(r.rjust(w) for r, w in zip(ranges, columns, strict=True)))
        return "\n".join(lines)


def _range(draws: Array, verdict: float) -> str:
    if not len(draws):
        return "–"
    word = {1.0: "better than ", 0.0: "within ", -1.0: "worse than "}.get(verdict, f"{len(draws)} draws: ")
    return f"{word}{draws.min():.3g}…{draws.max():.3g}"
