"""Sums of a Gaussian kernel over pairs of points, and their slope against its width: what dimension a kernel sees."""

import numpy as np

from trajmap._validation import Array

__all__ = ["kernel_slopes"]


def kernel_slopes(squares: Array, n: int) -> tuple[Array, Array]:
    """Slopes of log S against log ε, with S the sum of exp(−d²/4ε) over all pairs of n points, themselves included.

    Parameters
    ----------
    squares : numpy.ndarray, shape (n (n − 1)/2,)
        Squared distances of the pairs.
    n : int
        How many points.

    Returns
    -------
    slopes : numpy.ndarray, shape (m − 1,)
        Between neighbouring ε.
    epsilons : numpy.ndarray, shape (m,)
        Half powers of two, 2⁻²⁴ to 2^5.5, of the mean squared distance.

    References
    ----------
    R. Coifman, Y. Shkolnisky, F. Sigworth, A. Singer, Graph Laplacian tomography from unknown random projections,
    2008.

    Examples
    --------
    >>> slopes, _ = kernel_slopes(np.array([1.0]), 2)
    >>> bool(0 < slopes.max() < 0.5)
    True
    """
    unit, powers = float(squares.mean()), np.arange(-24, 6, 0.5)
    epsilons = unit * 2.0**powers
    sums = n + 2 * _kernel_sums(squares, unit, powers)
    return np.diff(np.log(sums)) / np.diff(np.log(epsilons)), epsilons


def _kernel_sums(squares: Array, unit: float, powers: Array) -> Array:
    """Sum exp(−d²/4ε) over pairs at ε = unit · 2^powers, evenly spaced powers: halving ε squares the kernel."""
    sums = np.empty(len(powers))
    stride = round(1 / (powers[1] - powers[0]))
    for first in range(stride):
        near, kernel = squares, np.empty(0)
        for count, place in enumerate(range(len(powers) - 1 - first, -1, -stride)):
            if count % 8:
                np.multiply(kernel, kernel, out=kernel)
            else:  # start again, before rounding has doubled too often; what is below e⁻⁴⁵ stays there
                near = near[near < 180 * unit * 2.0 ** powers[place]]
                kernel = near * (-1 / (4 * unit * 2.0 ** powers[place]))
                np.exp(kernel, out=kernel)
            sums[place] = kernel.sum()
    return sums
