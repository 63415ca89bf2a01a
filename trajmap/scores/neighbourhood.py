"""Whether an embedding keeps who is near whom."""

from trajmap._validation import Array
from trajmap.data.reduction import Reduction
from trajmap.scores.ranks import check_neighbours, neighbour_ranks

__all__ = ["continuity", "neighbour_overlap", "trustworthiness"]


def trustworthiness(reduction: Reduction, *, n_neighbors: int = 5) -> float:
    """Whether neighbours in the embedding were neighbours before.

    T(k) = 1 − 2/(nk(2n − 3k − 1)) Σ_i Σ_{j ∈ U_k(i)} (r(i, j) − k), where U_k(i) are the k nearest embedded
    neighbours of i that are not among its k nearest in X, and r their rank there.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.

    Returns
    -------
    float
        In [0, 1], 1 best. A random embedding gives 1 − (n − 1 − k)(n − k)/((n − 1)(2n − 3k − 1)), about ½; a
        random walk's own PCA gives above .98, so a high value is no evidence of a manifold.

    Raises
    ------
    InputError
        If k is not less than half the number of points, or a coordinate is not finite.

    References
    ----------
    J. Venna, S. Kaski, Neighborhood preservation in nonlinear projection methods, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> trustworthiness(Reduction(X, X, X), n_neighbors=2)
    1.0
    """
    k = check_neighbours(reduction, n_neighbors)
    return _penalised(neighbour_ranks(reduction.X), neighbour_ranks(reduction.Z), k)


def continuity(reduction: Reduction, *, n_neighbors: int = 5) -> float:
    """Whether neighbours before are neighbours in the embedding: trustworthiness with the roles swapped.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.

    Returns
    -------
    float
        In [0, 1], 1 best; about ½ for a random embedding.

    Raises
    ------
    InputError
        As for `trustworthiness`.

    References
    ----------
    J. Venna, S. Kaski, Neighborhood preservation in nonlinear projection methods, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> continuity(Reduction(X, X[:, :1], X), n_neighbors=2)
    1.0
    """
    k = check_neighbours(reduction, n_neighbors)
    return _penalised(neighbour_ranks(reduction.Z), neighbour_ranks(reduction.X), k)


def neighbour_overlap(reduction: Reduction, *, n_neighbors: int = 5) -> float:
    """Share of the k nearest neighbours that are the same before and after.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.

    Returns
    -------
    float
        In [0, 1], 1 best; k/(n − 1) for a random embedding.

    Raises
    ------
    InputError
        As for `trustworthiness`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> neighbour_overlap(Reduction(X, -X, X), n_neighbors=2)
    1.0
    """
    k = check_neighbours(reduction, n_neighbors)
    before, after = (
        (ranks > 0) & (ranks <= k) for ranks in (neighbour_ranks(reduction.X), neighbour_ranks(reduction.Z))
    )
    return float((before & after).sum() / (k * len(before)))


def _penalised(truth: Array, shown: Array, k: int) -> float:
    """One minus the normalised ranks in `truth` of the intruders among the k neighbours in `shown`."""
    n = len(truth)
    intruders = (shown > 0) & (shown <= k) & (truth > k)
    return float(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * (truth[intruders] - k).sum())
