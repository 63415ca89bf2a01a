"""Where a run says anything about a lifted point: its distance from the iterates, and how far is too far."""

from typing import Any

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.gram import column_blocks, streamed_products

__all__ = ["PathDistance"]

# a run up to this size is read once and kept; a larger one is streamed for each block of points
_KEEP_BYTES = 2**30


class PathDistance:
    """Distance in R^P from the nearest iterate of a run, by the iterates' Gram matrix.

    Parameters
    ----------
    iterates : Iterates or array-like, shape (T, P)
        The run.
    n_blocks : int
        Contiguous blocks of time for `reach`.

    Attributes
    ----------
    reach : float
        Median over the iterates of the distance to the nearest iterate outside their own time block: a point
        is supported when it is no farther from the run than held-out stretches of the run are from the rest.
    variance : float
        Mean squared distance of the iterates from their mean.

    Examples
    --------
    >>> line = np.outer(np.arange(20.0), [0.6, 0.8])
    >>> path = PathDistance(line, n_blocks=10)
    >>> round(path.reach, 9), path.nearest(np.array([[0.8, -0.6]])).round(6).tolist()
    (1.0, [1.0])
    """

    def __init__(self, iterates: Any, *, n_blocks: int = 10) -> None:
        small = len(iterates) * iterates.shape[1] * np.dtype(iterates.dtype).itemsize <= _KEEP_BYTES
        self._iterates = np.asarray(iterates[:]) if small else iterates
        T = len(iterates)
        # distances are differences: measured from the last iterate, small late steps keep their digits
        self._origin = np.asarray(iterates[-1], dtype=np.float64)
        gram, _ = streamed_products(iterates, np.empty((0, iterates.shape[1])))
        norms = np.diag(gram)
        self.variance = float(norms.mean() - gram.mean())
        distances = np.sqrt(np.maximum(norms[:, None] + norms - 2 * gram, 0))
        block = np.arange(T) * min(check_count("n_blocks", n_blocks, low=2), T) // T
        distances[block[:, None] == block[None, :]] = np.inf
        self.reach = float(np.median(distances.min(axis=1)))

    def nearest(self, thetas: Array) -> Array:
        """Distance of points from the nearest iterate.

        Parameters
        ----------
        thetas : numpy.ndarray, shape (n, P)
            Points; NaN gives NaN.

        Returns
        -------
        numpy.ndarray, shape (n,)
            Distances in parameter space.
        """
        T, P = len(self._iterates), thetas.shape[1]
        products = np.zeros((len(thetas), T))
        ours, theirs = np.zeros(len(thetas)), np.zeros(T)
        for columns in column_blocks(P):
            a = thetas[:, columns] - self._origin[columns]
            b = np.asarray(self._iterates[:, columns], dtype=np.float64) - self._origin[columns]
            products += a @ b.T
            ours += np.sum(a**2, axis=1)
            theirs += np.sum(b**2, axis=1)
        squares = ours[:, None] + theirs - 2 * products
        nearest = squares.argmin(axis=1)
        # the expanded square loses half the digits near an iterate: the nearest one is measured again
        exact = [np.linalg.norm(theta - self._iterates[int(i)]) for theta, i in zip(thetas, nearest, strict=True)]
        return np.array(exact)
