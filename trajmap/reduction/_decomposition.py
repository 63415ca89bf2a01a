"""Coordinates of points from the inner products of their steps."""

import dataclasses
import numbers
from typing import Any

import numpy as np
import scipy.linalg

from trajmap._validation import Array, check_count, worded
from trajmap.data.gram import centred_gram, point_factors, steps_are_short
from trajmap.errors import InputError

__all__ = ["Decomposition", "decompose"]


@dataclasses.dataclass(frozen=True, eq=False)
class Decomposition:
    """Leading singular vectors and values of the centred points, descending.

    Coordinates are ``left * singular``.
    """

    left: Array  # (n, m)
    singular: Array  # (m,)
    squares: Array  # (n,), squared distances of the points from their mean
    floor: float  # singular values below this share of the largest are rounding
    resolved: bool  # small steps are resolved, and their directions are kept for any tolerance

    @property
    def total(self) -> float:
        """Sum of all squared singular values."""
        return float(self.squares.sum())

    def count(self, wanted: float | None, *, tol: float, size: int) -> int:
        """Return the number of directions to keep: all above rounding, a number, or a share of the variance.

        Parameters
        ----------
        wanted : int or float, optional
            The number, or the share; all by default.
        tol : float
            Smallest value to keep, as a share of the largest.
        size : int
            P.

        Returns
        -------
        int
            The number.

        Raises
        ------
        InputError
            If more are requested than exist.
        """
        n = len(self.left)
        lowest = self.floor if self.resolved else max(tol, self.floor)
        rank = min(int(np.sum(self.singular > lowest * self.singular[0])), n - 1, size)
        if wanted is None:
            return rank
        if isinstance(wanted, float) and 0 < wanted < 1:
            return min(int(np.searchsorted(np.cumsum(self.singular**2 / self.total), wanted)) + 1, rank)
        keep = check_count("n_components", wanted)
        if keep > rank:
            spanned = f"the rank of the points (n_samples = {n}, n_features = {size})"
            raise InputError(worded("n_components", f"at most {rank}, {spanned}", keep))
        return keep

    def residuals(self, keep: int) -> Array:
        """Distances of the points from the span of the first directions; distances of the size of rounding become 0."""
        coordinates = self.left * self.singular
        if len(self.singular) == len(self.left):
            found = np.linalg.norm(coordinates[:, keep:], axis=1)
        else:
            found = np.sqrt(np.maximum(self.squares - np.sum(coordinates[:, :keep] ** 2, axis=1), 0))
        return found if found.max() > self.floor * self.singular[0] else np.zeros(len(found))


def decompose(steps: Array, *, increments: bool | str, first: Any) -> Decomposition:
    """Decompose points through the Gram matrix of their steps, which is overwritten.

    Parameters
    ----------
    steps : numpy.ndarray, shape (n, n)
        The result of `step_gram`.
    increments : bool or "auto"
        Whether to factor the steps rather than the points.
    first : int or float, optional
        If it is an integer, the number of values to compute.

    Returns
    -------
    Decomposition
        All values, or the requested number.

    Raises
    ------
    InputError
        If all points are equal.
    """
    n, eps = len(steps), float(np.finfo(float).eps)
    whole = steps_are_short(steps) if increments == "auto" else bool(increments)
    if whole:
        points = point_factors(steps)
        left, singular, _ = scipy.linalg.svd(points, full_matrices=False)
        found = Decomposition(left, singular, np.sum(points**2, axis=1), n * eps, resolved=True)
    else:
        gram = centred_gram(steps)
        squares = np.diag(gram).copy()
        wanted = int(first) if isinstance(first, numbers.Integral) else 0
        low = n - min(wanted, n) if wanted > 0 else 0
        subset, driver = ([low, n - 1], "evr") if low else (None, "evd")
        values, left = scipy.linalg.eigh(gram, overwrite_a=True, subset_by_index=subset, driver=driver)
        singular = np.sqrt(np.maximum(values[::-1], 0))
        found = Decomposition(left[:, ::-1], singular, squares, float(np.sqrt(n * eps)), resolved=False)
    if not found.singular[0] > 0:
        raise InputError(worded("X", "points that differ", f"n_samples = {n} equal ones"))
    return found
