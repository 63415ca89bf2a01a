"""Whether an embedding is stable under changes of its seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import procrustes
from sklearn.base import clone

from trajmap._validation import Array, worded
from trajmap.errors import InputError

__all__ = ["seed_stability"]


def seed_stability(embedding: Any, X: Array, *, seeds: Sequence[int] = (0, 1, 2)) -> float:
    """Agreement of an embedding's coordinates over seeds, up to translation, rotation and scale.

    Parameters
    ----------
    embedding : estimator
        An embedding with a parameter ``random_state``; clones are fitted.
    X : array-like, shape (n, r)
        The points.
    seeds : sequence of int
        At least two seeds.

    Returns
    -------
    float
        One minus the mean Procrustes disparity of all pairs: in [0, 1], higher is better; 1 if all agree, about 0 for
        unrelated coordinates. A stable picture can still be wrong.

    Raises
    ------
    InputError
        If there are fewer than two seeds, or the embedding has no ``random_state``.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> X = np.random.default_rng(0).normal(size=(30, 4))
    >>> round(seed_stability(PCA(2, random_state=0), X), 6)
    1.0
    """
    if len(seeds) < 2:
        raise InputError(worded("seeds", "at least 2", f"{len(seeds)}"))
    if "random_state" not in embedding.get_params():
        raise InputError(worded("embedding", "an estimator with a random_state", type(embedding).__name__))
    drawn = [clone(embedding).set_params(random_state=seed).fit(X).transform(X) for seed in seeds]
    disparities = [procrustes(a, b)[2] for i, a in enumerate(drawn) for b in drawn[:i]]
    return float(1 - np.mean(disparities))
