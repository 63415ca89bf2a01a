"""A reduction of a cloud of points: the points, their coordinates, and their lifts."""

import dataclasses
from typing import Any

from trajmap._validation import Array, check_array, worded
from trajmap.data.archive import Saved
from trajmap.errors import InputError

__all__ = ["Reduction"]


@dataclasses.dataclass(frozen=True, eq=False)
class Reduction(Saved):
    """Points X, their embedding Z and their lift X̂, with the same points row by row.

    Parameters
    ----------
    X : numpy.ndarray, shape (n, r)
        The points, in time order if they are iterates; usually row-space coordinates.
    Z : numpy.ndarray, shape (n, d)
        Their embedding coordinates.
    X_hat : numpy.ndarray, shape (n, r)
        The embedding lifted back.
    name : str
        Its name for titles.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> Reduction.of(PCA(3).fit(X), X).Z.shape
    (20, 3)
    """

    X: Array
    Z: Array
    X_hat: Array
    name: str = ""

    def __post_init__(self) -> None:
        self._keep("X", (None, None), dtype=None)
        self._keep("Z", (len(self.X), None), dtype=None)
        self._keep("X_hat", self.X.shape, dtype=None)
        if len(self.X) < 2:
            raise InputError(worded("X", "at least 2 points", self.X))

    @classmethod
    def of(cls, embedding: Any, X: Array) -> "Reduction":
        """Apply a fitted embedding to points and lift the result back.

        Parameters
        ----------
        embedding : estimator
            A fitted object with ``transform`` and ``inverse_transform``.
        X : array-like, shape (n, r)
            Points: those of the fit, or held-out ones.

        Returns
        -------
        Reduction
            The reduction, named after the estimator's class.
        """
        X = check_array("X", X, (None, None))
        Z = embedding.transform(X)
        return cls(X, Z, embedding.inverse_transform(Z), type(embedding).__name__)
