"""Scores of several reductions beside what the same reductions score on random walks."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array
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
        self._keep("values", shape, dtype=None)
        self._keep("null", (*shape, None), dtype=None)
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

    @property
    def recommendation(self) -> str:
        """What the table says, in words: the row with the smallest held-out error, and whether that means anything."""
        column = self._decisive()
        if column is None:
            return "no held-out error was computed, so nothing can be recommended"
        name = self.scores[column]
        errors = self.values[:, column]
        best = int(np.nanargmin(errors))
        told = f"{self.reductions[best]} has the smallest {name}, {errors[best]:.3g}"
        verdict = self.verdicts[best, column]
        if np.isnan(verdict):
            return told + "; without random walks beside it, what that is worth is not known"
        if not verdict:
            return told + ", but random walks reach it: none of these shapes is evidence"
        tail = self.values[best, self.scores.index("error on tail")] if "error on tail" in self.scores else np.nan
        worse = "; it does not extrapolate, so mask what lies beyond the run" if tail > 1 else ""
        poor = ", though worse than the mean would do" if errors[best] > 1 else ""
        return told + poor + ", below every random walk" + worse

    def _decisive(self) -> int | None:
        """Column of the hardest hold-out that was computed."""
        for name in ("error on sister", "error on blocks", "error on tail"):
            if name in self.scores and np.isfinite(self.values[:, self.scores.index(name)]).any():
                return self.scores.index(name)
        return None

    def __str__(self) -> str:
        """Lay the table out in columns, each score with the range of its null below it."""
        width = max(len(name) for name in self.reductions) + 2
        columns = [max(len(name) + 2, 20) for name in self.scores]
        lines = ["".ljust(width) + "".join(n.rjust(w) for n, w in zip(self.scores, columns, strict=True))]
        for name, values, null in zip(self.reductions, self.values, self.null, strict=True):
            lines.append(name.ljust(width) + "".join(f"{v:{w}.4g}" for v, w in zip(values, columns, strict=True)))
            ranges = (_range(draws[np.isfinite(draws)]) for draws in null)
            lines.append("  walks".ljust(width) + "".join(r.rjust(w) for r, w in zip(ranges, columns, strict=True)))
        return "\n".join(lines)


def _range(draws: Array) -> str:
    return f"{draws.min():.3g}…{draws.max():.3g}" if len(draws) else "–"
