"""All reductions of a run, all scores, all splits, with their nulls: one table."""

from collections.abc import Iterable, Mapping
from typing import Any

from trajmap._validation import worded
from trajmap.data.fan import Fan
from trajmap.data.gram import isometric_coordinates
from trajmap.data.progress import Progress
from trajmap.data.results.score_table import ScoreTable
from trajmap.data.sisters import require_sister
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.scores.columns import ALL_COLUMNS
from trajmap.scores.table import as_seen, score_table

__all__ = ["compare_reductions"]


def compare_reductions(
    run: Trajectory | Fan,
    embeddings: Mapping[str, Any],
    *,
    columns: Iterable[str] = tuple(ALL_COLUMNS),
    n_draws: int | Mapping[str, int] = 10,
    random_state: int = 0,
    progress: Progress | None = None,
) -> ScoreTable:
    """Fit reductions to a run and score them in sample, with four hold-outs, and on random walks.

    Parameters
    ----------
    run : Trajectory or Fan
        A run; or a fan of two, of which the second is the sister for the transfer score.
    embeddings : mapping of str to estimator
        Embeddings of row-space coordinates with ``transform`` and ``inverse_transform``; clones are fitted.
    columns : iterable of str
        Names in ``ALL_COLUMNS``; all by default.
    n_draws : int or mapping of str to int
        Number of random walks for the null.
    random_state : int
        Seed of the walks.
    progress : callable, optional
        Called with the number of fits done and the total.

    Returns
    -------
    ScoreTable
        The table; print it, draw it with `plot_scores`, or read its ``recommendation``.

    Raises
    ------
    InputError
        If there is no embedding, a column is unknown, or the fan does not hold two runs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> t = np.linspace(0, 1, 40)[:, None]
    >>> valley = np.hstack([t, t**2, np.zeros((40, 30))])
    >>> fan = Fan(("a", "b"), (Trajectory.of(valley), Trajectory.of(valley + [[1e-4] * 32])))
    >>> table = compare_reductions(fan, {"pca": PCA(2)}, columns=["error on sister"], n_draws=19)
    >>> table.verdicts
    array([[1.]])
    """
    if not embeddings:
        raise InputError(worded("embeddings", "at least one", "none"))
    if isinstance(run, Fan):
        if len(run.runs) != 2:
            raise InputError(worded("run", "a fan of a run and its sister", f"{len(run.runs)} runs"))
        require_sister(*run.runs)
        points, T = isometric_coordinates(run.iterates), run.runs[0].n_iterates
    else:
        points, T = isometric_coordinates(run.iterates), run.n_iterates
    X, sister = as_seen(points, T, sister=isinstance(run, Fan))
    size = run.layout.size
    return score_table(
        X, embeddings, size=size, sister=sister, columns=columns, n_draws=n_draws, random_state=random_state,
        progress=progress,
    )  # fmt: skip
