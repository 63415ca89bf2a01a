"""Score embeddings of a run, and of random walks, by the same procedure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from trajmap._registry import pick
from trajmap._validation import Array, check_array, check_count
from trajmap.data.reduction import Reduction
from trajmap.data.score_table import ScoreTable
from trajmap.scores.neighbourhood import continuity, neighbour_overlap, trustworthiness
from trajmap.scores.null import random_walk, step_norms
from trajmap.scores.reconstruction import OtherRun, reconstruction_error, transfer_error
from trajmap.scores.validation import TimeBlockSplit, held_out

__all__ = ["null_test", "score", "score_table"]

SCORES: dict[str, Callable[[Reduction], float]] = {
    "trustworthiness": trustworthiness,
    "continuity": continuity,
    "neighbour_overlap": neighbour_overlap,
    "reconstruction_error": reconstruction_error,
}

# column: (1 is good, what a reader should know)
COLUMNS = {
    "trustworthiness": (
        True,
        "0 to 1, 1 best; neighbours shown were neighbours; random walks score high too",
    ),
    "continuity": (True, "0 to 1, 1 best; neighbours before are neighbours shown"),
    "error in sample": (False, "1 − R² of the lift on the fitted iterates, 0 best"),
    "error on blocks": (False, "1 − R² on held-out stretches of the run, 0 best, above 1 worse than the mean"),
    "error on sister": (False, "1 − R² on a run of the same start and other batch order, 0 best"),
}


def score(reduction: Reduction, names: Iterable[str] | None = None) -> dict[str, float]:
    """Compute several scores of one reduction.

    Parameters
    ----------
    reduction : Reduction
        The points, their embedding and its lift.
    names : iterable of str, optional
        Any of trustworthiness, continuity, neighbour_overlap, reconstruction_error; all by default.

    Returns
    -------
    dict of str to float
        Range, good end and null value of each stand in the docstring of the function of that name.

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
    return {name: function(reduction) for name, function in chosen.items()}


def null_test(
    X: Array,
    embedding: Any,
    *,
    size: int,
    sister: bool = True,
    n_draws: int = 20,
    n_splits: int = 5,
    random_state: int = 0,
) -> Array:
    """Score an embedding on random walks with a run's own step norms.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Row-space coordinates of the run.
    embedding : estimator
        A clone of it is fitted to each walk.
    size : int
        P.
    sister : bool
        Also score the transfer to a second walk from the same start.
    n_draws : int
        Number of walks.
    n_splits : int
        Held-out time blocks.
    random_state : int
        Seed of the walks.

    Returns
    -------
    numpy.ndarray, shape (5, n_draws)
        One row a column of `score_table`; NaN for the sister's when it is not asked for.
    """
    X = check_array("X", X, (None, None), dtype=np.float64)
    rng = np.random.default_rng(random_state)
    norms, draws = step_norms(X), np.empty((len(COLUMNS), check_count("n_draws", n_draws, low=0)))
    for i in range(draws.shape[1]):
        walks = random_walk(norms, size, n_walks=2 if sister else 1, random_state=rng)
        draws[:, i] = _scores(embedding, *_as_seen(walks, len(X), sister=sister), n_splits)
    return draws


def score_table(
    X: Array,
    embeddings: Mapping[str, Any],
    *,
    size: int,
    sister: OtherRun | None = None,
    n_draws: int | Mapping[str, int] = 20,
    n_splits: int = 5,
    random_state: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ScoreTable:
    """Score embeddings in sample, on held-out time blocks and on a sister run, each beside its null.

    Parameters
    ----------
    X : array-like, shape (T, r)
        Row-space coordinates of the run.
    embeddings : mapping of str to estimator
        Clones are fitted.
    size : int
        P, the dimension the walks of the null walk in.
    sister : OtherRun, optional
        A sister run, as seen from this run's row space.
    n_draws : int or mapping of str to int
        Random walks for the null, for all embeddings or for each.
    n_splits : int
        Held-out time blocks.
    random_state : int
        Seed of the walks.
    progress : callable, optional
        Called with the fits done and their number.

    Returns
    -------
    ScoreTable
        One row an embedding.
    """
    X = check_array("X", X, (None, None), dtype=np.float64)
    draws = {name: n_draws if isinstance(n_draws, int) else n_draws[name] for name in embeddings}
    values = np.full((len(embeddings), len(COLUMNS)), np.nan)
    null = np.full((*values.shape, max(draws.values(), default=0)), np.nan)
    total, done = len(embeddings) + sum(draws.values()), 0
    for i, (name, embedding) in enumerate(embeddings.items()):
        values[i] = _scores(embedding, X, sister, n_splits)
        done += 1
        for j in range(draws[name]):
            _report(progress, done, total)
            seed = [random_state, i, j]
            null[i, :, j] = null_test(
                X, embedding, size=size, sister=sister is not None, n_draws=1, n_splits=n_splits,
                random_state=np.random.SeedSequence(seed).generate_state(1)[0].item(),
            )[:, 0]  # fmt: skip
            done += 1
        _report(progress, done, total)
    better, notes = zip(*COLUMNS.values(), strict=True)
    return ScoreTable(list(embeddings), list(COLUMNS), values, null, list(better), list(notes))


def _report(progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _scores(embedding: Any, X: Array, sister: OtherRun | None, n_splits: int) -> list[float]:
    fitted = clone(embedding).fit(X)
    own = Reduction.of(fitted, X)
    blocks = reconstruction_error(held_out(embedding, X, TimeBlockSplit(n_splits)))
    other = np.nan if sister is None else transfer_error(fitted, sister)
    return [trustworthiness(own), continuity(own), reconstruction_error(own), blocks, other]


def _as_seen(walks: Array, T: int, *, sister: bool) -> tuple[Array, OtherRun | None]:
    """Row-space coordinates of the first walk; of the second, as a sister run is seen from there."""
    own = walks[:T]
    left, values, basis = np.linalg.svd(own - own.mean(axis=0), full_matrices=False)
    keep = values > 1e-7 * values[0]
    X = left[:, keep] * values[keep]
    if not sister:
        return X, None
    other = walks[T:] - own.mean(axis=0)
    inside = other @ basis[keep].T
    outside = np.maximum(np.sum(other**2, axis=1) - np.sum(inside**2, axis=1), 0)
    return X, OtherRun(inside, outside, float(np.sum((other - other.mean(axis=0)) ** 2)))
