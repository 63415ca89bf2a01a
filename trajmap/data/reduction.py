"""A reduction of a cloud of points: the points, their coordinates, and their lifts."""

import dataclasses
from typing import Annotated, Any

from trajmap._validation import Array, check_array, worded
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape
from trajmap.errors import InputError

__all__ = ["Reduction"]


@dataclasses.dataclass(frozen=True, eq=False)
class Reduction(Saved, rows=("n",)):
    """Points X, their embedding Z and their lift X̂, row by row the same points.

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

    X: Annotated[Array, Shape("n", "r", dtype=None)]
    Z: Annotated[Array, Shape("n", "d", dtype=None)]
    X_hat: Annotated[Array, Shape("n", "r", dtype=None)]
    name: str = ""

    def _check(self) -> None:
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
