"""The columns of a score table: computation, better end, and a note for the reader."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import BaseCrossValidator

from trajmap._validation import Array
from trajmap.data.reduction import Reduction
from trajmap.scores.distances import path_order, shepard_correlation, stress
from trajmap.scores.neighbourhood import continuity, local_continuity, neighbour_overlap, trustworthiness
from trajmap.scores.rank_errors import rank_error_after, rank_error_before
from trajmap.scores.reconstruction import OtherRun, reconstruction_error, transfer_error
from trajmap.scores.validation import InterleavedSplit, TailSplit, TimeBlockSplit, held_out

__all__ = ["ALL_COLUMNS", "COLUMNS", "Case", "Column", "Known"]


@dataclasses.dataclass(frozen=True)
class Known:
    """An embedding that is fitted to the run already: its scores in sample are those of this fit, not of another one.

    Parameters
    ----------
    estimator : estimator
        The fitted embedding; where parts of the run are held out, clones of it are fitted.
    """

    estimator: Any


class Case:
    """An embedding fitted to a run, with the common inputs of its scores.

    Parameters
    ----------
    embedding : estimator or Known
        The embedding; a clone is fitted, unless it is known.
    X : numpy.ndarray, shape (T, r)
        Row-space coordinates of the run.
    sister : OtherRun, optional
        A sister run in these coordinates.
    n_splits : int
        Held-out folds.
    """

    def __init__(self, embedding: Any, X: Array, sister: OtherRun | None, n_splits: int) -> None:
        self._known = embedding if isinstance(embedding, Known) else None
        self.embedding = embedding if self._known is None else self._known.estimator
        self.X, self.sister, self.n_splits = X, sister, n_splits
        self.window = max(1, len(X) // 10)

    @functools.cached_property
    def fitted(self) -> Any:
        """The embedding fitted to the whole run."""
        return clone(self.embedding).fit(self.X) if self._known is None else self._known.estimator

    @functools.cached_property
    def own(self) -> Reduction:
        """The reduction of the run."""
        return Reduction.of(self.fitted, self.X)

    def error(self, split: BaseCrossValidator) -> float:
        """Error on held-out points."""
        return reconstruction_error(held_out(self.embedding, self.X, split))

    def sister_error(self) -> float:
        """Error on the sister run; NaN without one."""
        return float("nan") if self.sister is None else transfer_error(self.fitted, self.sister)

    def quick(self) -> int:
        """Neighbours for the neighbourhood scores: five, fewer for a short run."""
        return max(1, min(5, (len(self.X) - 1) // 2 - 1, (len(self.X) - 2 * self.window - 1) // 2))


@dataclasses.dataclass(frozen=True)
class Column:
    """One score of a case.

    Parameters
    ----------
    compute : callable
        ``compute(case) -> float``.
    note : str
        Range and meaning, for the reader.
    higher_is_better : bool
        Whether higher values are better.
    """

    compute: Callable[[Case], float]
    note: str
    _: dataclasses.KW_ONLY
    higher_is_better: bool


def _more(compute: Callable[[Case], float], note: str) -> Column:
    return Column(compute, note, higher_is_better=True)


def _less(compute: Callable[[Case], float], note: str) -> Column:
    return Column(compute, note, higher_is_better=False)


ALL_COLUMNS = {
    "trustworthiness": _more(
        lambda c: trustworthiness(c.own, n_neighbors=c.quick()),
        "0 to 1, 1 best; shown neighbours are true neighbours; random walks score high too",
    ),
    "trust beyond time": _more(
        lambda c: trustworthiness(c.own, n_neighbors=c.quick(), theiler_window=c.window),
        "the same without neighbours in time (a tenth of the run), which any time order preserves",
    ),
    "continuity": _more(
        lambda c: continuity(c.own, n_neighbors=c.quick()), "0 to 1, 1 best; true neighbours are shown as neighbours"
    ),
    "local continuity": _more(
        lambda c: local_continuity(c.own, n_neighbors=c.quick(), theiler_window=c.window),
        "overlap of neighbours above chance, 0 for chance, at most 1; without neighbours in time",
    ),
    "neighbour overlap": _more(
        lambda c: neighbour_overlap(c.own, n_neighbors=c.quick()), "0 to 1, 1 best; share of neighbours kept"
    ),
    "rank error before": _less(
        lambda c: rank_error_before(c.own, n_neighbors=c.quick()), "0 to 1, 0 best; ranks of true neighbours"
    ),
    "rank error after": _less(
        lambda c: rank_error_after(c.own, n_neighbors=c.quick()), "0 to 1, 0 best; ranks of shown neighbours"
    ),
    "Shepard correlation": _more(lambda c: shepard_correlation(c.own), "−1 to 1, 1 best; true against shown distances"),
    "stress": _less(lambda c: stress(c.own), "0 to 1, 0 best; misfit of the distances at the best scale"),
    "path order": _more(
        lambda c: path_order(c.own, n_neighbors=min(8, len(c.X) - 1)), "−1 to 1, 1 best; preservation of time order"
    ),
    "error in sample": _less(
        lambda c: reconstruction_error(c.own), "1 − R² of the lift on the fitted iterates, 0 best"
    ),
    "error interleaved": _less(
        lambda c: c.error(InterleavedSplit(c.n_splits)),
        "1 − R² on every fifth iterate, 0 best; leaks, because its neighbours in time were fitted",
    ),
    "error on blocks": _less(
        lambda c: c.error(TimeBlockSplit(c.n_splits)),
        "1 − R² on held-out blocks of the run, 0 best, above 1 worse than the mean",
    ),
    "error on tail": _less(
        lambda c: c.error(TailSplit()),
        "1 − R² on the last fifth, fitted to the rest, 0 best; above 1 worse than its mean",
    ),
    "error on sister": _less(Case.sister_error, "1 − R² on a run with the same start and another batch order, 0 best"),
}

COLUMNS = {
    name: ALL_COLUMNS[name]
    for name in (
        "trustworthiness",
        "trust beyond time",
        "continuity",
        "error in sample",
        "error on blocks",
        "error on tail",
        "error on sister",
    )
}


def row(case: Case, columns: dict[str, Column]) -> Array:
    """Compute the columns of one embedding."""
    return np.array([column.compute(case) for column in columns.values()])
