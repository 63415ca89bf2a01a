"""Valid hold-outs for time-ordered data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import BaseCrossValidator

from trajmap._validation import Array, check_array, check_count, check_fraction, worded
from trajmap.data.reduction import Reduction
from trajmap.errors import InputError

__all__ = ["InterleavedSplit", "TailSplit", "TimeBlockSplit", "held_out"]


class TimeBlockSplit(BaseCrossValidator):
    """Hold out contiguous blocks of time in turn.

    Interleaved hold-outs leak: an iterate's neighbours in time are its neighbours in space, so the remaining iterates
    nearly determine a held-out one. They do not determine a held-out block.

    Parameters
    ----------
    n_splits : int
        Number of blocks, at least 2.

    Raises
    ------
    InputError
        If `n_splits` is less than 2.

    Examples
    --------
    >>> [test.tolist() for _, test in TimeBlockSplit(3).split(np.zeros((7, 1)))]
    [[0, 1, 2], [3, 4], [5, 6]]
    """

    def __init__(self, n_splits: int = 5) -> None:
        self.n_splits = check_count("n_splits", n_splits, low=2)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Count the blocks."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Yield the training places and the held-out places, block by block.

        Parameters
        ----------
        X : array-like, shape (n, ...)
            Points in time order.
        y, groups : None
            Ignored.

        Yields
        ------
        train, test : numpy.ndarray of int
            Places.

        Raises
        ------
        InputError
            If there are fewer points than blocks.
        """
        places = np.arange(len(X))
        if len(places) < self.n_splits:
            raise InputError(worded("X", f"at least {self.n_splits} points", f"{len(places)}"))
        for block in np.array_split(places, self.n_splits):
            yield np.setdiff1d(places, block), block


class InterleavedSplit(BaseCrossValidator):
    """Hold out every k-th point in turn. It leaks, because the neighbours in time of a held-out iterate remain.

    Parameters
    ----------
    n_splits : int
        k, at least 2.

    Raises
    ------
    InputError
        If `n_splits` is less than 2.

    Examples
    --------
    >>> [test.tolist() for _, test in InterleavedSplit(3).split(np.zeros((7, 1)))]
    [[0, 3, 6], [1, 4], [2, 5]]
    """

    def __init__(self, n_splits: int = 5) -> None:
        self.n_splits = check_count("n_splits", n_splits, low=2)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Count the folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Yield the training places and the held-out places."""
        places = np.arange(len(X))
        if len(places) < self.n_splits:
            raise InputError(worded("X", f"at least {self.n_splits} points", f"{len(places)}"))
        for first in range(self.n_splits):
            test = places[first :: self.n_splits]
            yield np.setdiff1d(places, test), test


class TailSplit(BaseCrossValidator):
    """Hold out the end of the run, to test whether an embedding of the past predicts the future.

    Parameters
    ----------
    fraction : float
        Share of the points held out, in (0, 1).

    Raises
    ------
    InputError
        If `fraction` is out of range.

    Examples
    --------
    >>> [test.tolist() for _, test in TailSplit(0.3).split(np.zeros((10, 1)))]
    [[7, 8, 9]]
    """

    def __init__(self, fraction: float = 0.2) -> None:
        self.fraction = check_fraction("fraction", fraction)
        if not 0 < fraction < 1:
            raise InputError(worded("fraction", "a share between 0 and 1", fraction))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Count the folds: one."""
        return 1

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Yield the training places and the held-out places."""
        places = np.arange(len(X))
        first = min(max(round(len(places) * (1 - self.fraction)), 1), len(places) - 1)
        yield places[:first], places[first:]


def held_out(embedding: Any, X: Array, split: BaseCrossValidator) -> Reduction:
    """Embed and lift each point by a fit that excludes it.

    Parameters
    ----------
    embedding : estimator
        A clone of it is fitted for each fold.
    X : array-like, shape (n, r)
        Points in time order.
    split : cross-validator
        For example `TimeBlockSplit`.

    Returns
    -------
    Reduction
        All held-out points in time order. Coordinates Z of different folds belong to different fits and are
        not comparable; lifts are.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from trajmap.scores.reconstruction import reconstruction_error
    >>> line = np.outer(np.arange(10.0), [1.0, 2.0, 2.0])
    >>> round(reconstruction_error(held_out(PCA(1), line, TimeBlockSplit(5))), 12)
    0.0
    """
    X = check_array("X", X, (None, None))
    folds = []
    for train, test in split.split(X):
        fitted = clone(embedding).fit(X[train])
        Z = fitted.transform(X[test])
        folds.append((test, Z, fitted.inverse_transform(Z)))
    order = np.argsort(np.concatenate([test for test, _, _ in folds]), kind="stable")
    Z, X_hat = (np.concatenate([fold[part] for fold in folds])[order] for part in (1, 2))
    places = np.concatenate([test for test, _, _ in folds])[order]
    return Reduction(X[places], Z, X_hat, type(embedding).__name__)
