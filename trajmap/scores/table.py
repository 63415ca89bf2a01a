"""Score embeddings of a run and of random walks by the same procedure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from trajmap._registry import pick
from trajmap._validation import Array, check_array, check_count
from trajmap.data.progress import Counted, Progress, counted
from trajmap.data.reduction import Reduction
from trajmap.data.results.score_table import ScoreTable
from trajmap.scores.columns import ALL_COLUMNS, COLUMNS, Case, row
from trajmap.scores.distances import path_order, shepard_correlation, stress
from trajmap.scores.neighbourhood import continuity, local_continuity, neighbour_overlap, trustworthiness
from trajmap.scores.null import random_walk, step_norms
from trajmap.scores.rank_errors import rank_error_after, rank_error_before
from trajmap.scores.reconstruction import OtherRun, reconstruction_error

__all__ = ["SCORES", "as_seen", "null_scores", "score", "score_table"]

SCORES: dict[str, Callable[[Reduction], float]] = {
    "trustworthiness": trustworthiness,
    "continuity": continuity,
    "neighbour_overlap": neighbour_overlap,
    "local_continuity": local_continuity,
    "rank_error_before": rank_error_before,
    "rank_error_after": rank_error_after,
    "shepard_correlation": shepard_correlation,
    "stress": stress,
    "path_order": path_order,
    "reconstruction_error": reconstruction_error,
}


def score(
    reduction: Reduction, names: Iterable[str] | None = None, *, progress: Progress | None = None
) -> dict[str, float]:
    """Compute several scores of one reduction.

    Parameters
    ----------
    reduction : Reduction
        The points, their embedding and its lift.
    names : iterable of str, optional
        Functions of ``trajmap.scores`` that take a reduction; all by default.
    progress : callable, optional
        Called with the scores done and their number.

    Returns
    -------
    dict of str to float
        For range, better end and null value of each, see the function of that name.

    Raises
    ------
    InputError
        If a name is unknown.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 3))
    >>> score(Reduction(X, X, X), ["continuity", "reconstruction_error"])
    {'continuity': 1.0, 'reconstruction_error': 0.0}
    """
    chosen = {name: pick("names", name, SCORES) for name in (SCORES if names is None else names)}
    return {name: chosen[name](reduction) for name in counted(chosen, progress)}


def null_scores(
    X: Array,
    embedding: Any,
    *,
    size: int,
    sister: bool = True,
    columns: Iterable[str] = tuple(COLUMNS),
    n_draws: int = 20,
    n_splits: int = 5,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Array:
    """Score an embedding on random walks with a run's own step norms.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Row-space coordinates of the run.
    embedding : estimator
        The embedding; a clone is fitted to each walk.
    size : int
        P.
    sister : bool
        Also score the transfer to a second walk from the same start.
    columns : iterable of str
        Names in ``ALL_COLUMNS``.
    n_draws : int
        Number of walks.
    n_splits : int
        Held-out folds.
    random_state : int
        Seed of the walks.
    progress : callable, optional
        Called with the walks done and their number.

    Returns
    -------
    numpy.ndarray, shape (n_columns, n_draws)
        One row per column; NaN in the sister's columns without `sister`.
    """
    X = check_array("X", X, (None, None), dtype=np.float64)
    chosen = {name: pick("columns", name, ALL_COLUMNS) for name in columns}
    rng = np.random.default_rng(random_state)
    norms, draws = step_norms(X), np.empty((len(chosen), check_count("n_draws", n_draws, low=0)))
    for i in counted(range(draws.shape[1]), progress):
        walks = random_walk(norms, size, n_walks=2 if sister else 1, random_state=rng)
        own, other = as_seen(walks, len(X), sister=sister)
        draws[:, i] = row(Case(embedding, own, other, n_splits), chosen)
    return draws


def score_table(
    X: Array,
    embeddings: Mapping[str, Any],
    *,
    size: int,
    sister: OtherRun | None = None,
    columns: Iterable[str] = tuple(COLUMNS),
    n_draws: int | Mapping[str, int] = 20,
    n_splits: int = 5,
    random_state: int = 0,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score embeddings in sample, held out and on a sister run, each with its null.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Row-space coordinates of the run.
    embeddings : mapping of str to estimator or Known
        Clones are fitted, except in sample where one is `Known`.
    size : int
        P, the dimension of the null's walks.
    sister : OtherRun, optional
        A sister run, in this run's row space.
    columns : iterable of str
        Names in ``ALL_COLUMNS``.
    n_draws : int or mapping of str to int
        Number of random walks for the null, for all embeddings or for each.
    n_splits : int
        Held-out folds.
    random_state : int
        Seed of the walks.
    progress : callable, optional
        Called with the number of fits done and the total.

    Returns
    -------
    ScoreTable
        One row per embedding.

    Raises
    ------
    InputError
        If a column is unknown.
    """
    X = check_array("X", X, (None, None), dtype=np.float64)
    chosen = {name: pick("columns", name, ALL_COLUMNS) for name in columns}
    draws = {name: n_draws if isinstance(n_draws, int) else n_draws[name] for name in embeddings}
    values = np.full((len(embeddings), len(chosen)), np.nan)
    null = np.full((*values.shape, max(draws.values(), default=0)), np.nan)
    count = Counted(progress, len(embeddings) + sum(draws.values()))
    for i, (name, embedding) in enumerate(embeddings.items()):
        case = Case(embedding, X, sister, n_splits)
        values[i] = row(case, chosen)
        count()
        for j in range(draws[name]):
            seed = [random_state, i, j]
            null[i, :, j] = null_scores(
                X, case.embedding, size=size, sister=sister is not None, columns=chosen, n_draws=1, n_splits=n_splits,
                random_state=np.random.SeedSequence(seed).generate_state(1)[0].item(),
            )[:, 0]  # fmt: skip
            count()
    better, notes = [c.higher_is_better for c in chosen.values()], [c.note for c in chosen.values()]
    return ScoreTable(list(embeddings), list(chosen), values, null, better, notes)


def as_seen(runs: Array, T: int, *, sister: bool) -> tuple[Array, OtherRun | None]:
    """Row-space coordinates of the first of two runs, and the second as a sister run in them."""
    own = runs[:T]
    left, values, basis = np.linalg.svd(own - own.mean(axis=0), full_matrices=False)
    keep = values > 1e-7 * values[0]
    X = left[:, keep] * values[keep]
    if not sister:
        return X, None
    other = runs[T:] - own.mean(axis=0)
    inside = other @ basis[keep].T
    outside = np.maximum(np.sum(other**2, axis=1) - np.sum(inside**2, axis=1), 0)
    return X, OtherRun(inside, outside, float(np.sum((other - other.mean(axis=0)) ** 2)))
