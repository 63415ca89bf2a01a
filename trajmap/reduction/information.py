"""Embeddings of predictions instead of weights: intensive PCA by the Bhattacharyya distance."""

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.results.intensive_coordinates import IntensiveCoordinates
from trajmap.errors import InputError
from trajmap.reduction._checks import fix_signs

__all__ = ["bhattacharyya_distances", "intensive_pca"]


def bhattacharyya_distances(roots: Array) -> Array:
    """Mean Bhattacharyya distance of models' predictions, −(1/N) Σ_n log Σ_c √(p_nc q_nc).

    Parameters
    ----------
    roots : array-like, shape (T, N, C)
        √p of T models on N probes with C classes.

    Returns
    -------
    numpy.ndarray, shape (T, T)
        Distances ≥ 0, 0 on the diagonal; inf if two models share no class of positive probability on a probe.

    Raises
    ------
    InputError
        If the squares do not sum to one over the classes.

    References
    ----------
    J. Mao et al., The training process of many deep networks explores the same low-dimensional manifold, 2024.

    Examples
    --------
    >>> sure, unsure = [1.0, 0.0], [0.5**0.5, 0.5**0.5]
    >>> bhattacharyya_distances([[sure], [unsure]]).round(4).tolist()
    [[0.0, 0.3466], [0.3466, 0.0]]
    """
    roots = check_array("roots", roots, (None, None, None), dtype=np.float64)
    sums = np.square(roots).sum(axis=2)
    if not np.allclose(sums, 1, atol=1e-4):
        got = f"sums from {sums.min():.3g} to {sums.max():.3g}"
        raise InputError(worded("roots", "square roots of probabilities that sum to one", got))
    T, N, _ = roots.shape
    total = np.zeros((T, T))
    with np.errstate(divide="ignore"):
        for n in range(N):
            total -= np.log(np.minimum(roots[:, n] @ roots[:, n].T, 1.0))
    total /= N
    np.fill_diagonal(total, 0.0)
    return total


def intensive_pca(roots: Array, n_components: int = 3) -> IntensiveCoordinates:
    """Compute coordinates in which squared Minkowski distances are Bhattacharyya distances.

    Parameters
    ----------
    roots : array-like, shape (T, N, C)
        √p of T models on N probes with C classes: iterates of one run, or of many.
    n_components : int
        Number of coordinates, in the order of the eigenvalues' magnitude.

    Returns
    -------
    IntensiveCoordinates
        Coordinates, and eigenvalues whose signs show which are time-like.

    Raises
    ------
    InputError
        If a distance is infinite, or more coordinates are requested than there are models.

    References
    ----------
    K. Quinn, C. Clement, F. De Bernardis, M. Niemack, J. Sethna, Visualizing probabilistic models and data with
    intensive principal component analysis, 2019.

    Examples
    --------
    >>> p = np.linspace(0.1, 0.9, 5)[:, None, None]
    >>> line = intensive_pca(np.sqrt(np.concatenate([p, 1 - p], axis=2)), 1).coordinates[:, 0]
    >>> bool((np.diff(line) > 0).all() or (np.diff(line) < 0).all())
    True
    """
    distances = bhattacharyya_distances(roots)
    if not np.isfinite(distances).all():
        raise InputError(
            worded("roots", "models that share a class of positive probability on every probe", "an infinite distance")
        )
    T = len(distances)
    k = check_count("n_components", n_components, high=T)
    centred = distances - distances.mean(axis=0) - distances.mean(axis=1)[:, None] + distances.mean()
    values, vectors = np.linalg.eigh(-0.5 * centred)
    order = np.argsort(-np.abs(values))[:k]
    coordinates = vectors[:, order] * np.sqrt(np.abs(values[order]))
    return IntensiveCoordinates(coordinates * fix_signs(coordinates), values[order])
