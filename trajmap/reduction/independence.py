"""Which diffusion coordinates are independent, and which are harmonics of earlier ones."""

import numpy as np
from scipy.spatial.distance import cdist

from trajmap._validation import Array, check_array, check_positive, worded
from trajmap.errors import InputError

__all__ = ["coordinate_residuals", "independent_coordinates"]


def coordinate_residuals(Z: Array, *, bandwidth: float = 1 / 3) -> Array:
    """Error of predicting each coordinate from the earlier ones, by leave-one-out local linear regression.

    Parameters
    ----------
    Z : array-like, shape (n, d)
        Diffusion coordinates, in the order of their eigenvalues.
    bandwidth : float
        Bandwidth of the regression's Gaussian weights, in units of the median distance.

    Returns
    -------
    numpy.ndarray, shape (d,)
        Relative residuals in [0, 1]: 1 for the first; near 0 for a harmonic, such as cos 2πs after cos πs.

    Raises
    ------
    InputError
        If the coordinates are not finite.

    References
    ----------
    C. Dsilva, R. Talmon, R. Coifman, I. Kevrekidis, Parsimonious representation of nonlinear dynamical systems
    through manifold learning, 2018.

    Examples
    --------
    >>> s = np.linspace(0, 1, 100)
    >>> waves = np.cos(np.pi * np.outer(s, [1, 2]))
    >>> first, harmonic = coordinate_residuals(waves)
    >>> bool(first == 1 and harmonic < 0.15)
    True
    """
    Z = check_array("Z", Z, (None, None), dtype=np.float64)
    if not np.isfinite(Z).all():
        raise InputError(worded("Z", "finite numbers", "NaN or inf"))
    check_positive("bandwidth", bandwidth)
    residuals = np.ones(Z.shape[1])
    for k in range(1, Z.shape[1]):
        residuals[k] = _residual(Z[:, :k], Z[:, k], bandwidth)
    return residuals


def independent_coordinates(Z: Array, n_components: int = 2, *, bandwidth: float = 1 / 3) -> Array:
    """Choose the coordinates that the earlier ones predict worst.

    Parameters
    ----------
    Z : array-like, shape (n, d)
        Diffusion coordinates, in the order of their eigenvalues; fit more than you choose.
    n_components : int
        Number of coordinates to choose, including the first.
    bandwidth : float
        As in `coordinate_residuals`.

    Returns
    -------
    numpy.ndarray of int, shape (n_components,)
        Their places, ascending.

    Raises
    ------
    InputError
        If there are fewer coordinates.

    Examples
    --------
    >>> s = np.linspace(0, 1, 100)
    >>> across = np.random.default_rng(0).uniform(size=100)
    >>> independent_coordinates(np.cos(np.pi * np.stack([s, 2 * s, across], axis=1)), 2).tolist()
    [0, 2]
    """
    residuals = coordinate_residuals(Z, bandwidth=bandwidth)
    if not 1 <= n_components <= len(residuals):
        raise InputError(worded("n_components", f"at most {len(residuals)} coordinates", n_components))
    return np.sort(np.argsort(-residuals, kind="stable")[:n_components])


def _residual(known: Array, wanted: Array, bandwidth: float) -> float:
    n = len(known)
    distances = cdist(known, known)
    scale = bandwidth * np.median(distances)
    weights = np.exp(-((distances / scale) ** 2)) if scale > 0 else np.ones((n, n))
    np.fill_diagonal(weights, 0)  # each point is predicted by the others
    predicted = np.empty(n)
    for i in range(n):
        design = np.column_stack([np.ones(n), known - known[i]])
        root = np.sqrt(weights[i])
        predicted[i] = np.linalg.lstsq(design * root[:, None], wanted * root, rcond=1e-8)[0][0]
    return float(min(np.sqrt(np.sum((wanted - predicted) ** 2) / np.sum(wanted**2)), 1.0))
