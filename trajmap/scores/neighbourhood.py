"""Whether an embedding preserves neighbours.

Without a window, neighbours in time are neighbours in space, and the time index alone scores near 1.
"""

import numpy as np

from trajmap._validation import Array
from trajmap.data.reduction import Reduction
from trajmap.scores.ranks import ranking

__all__ = ["continuity", "local_continuity", "neighbour_overlap", "trustworthiness"]


def trustworthiness(reduction: Reduction, *, n_neighbors: int = 5, theiler_window: int = 0) -> float:
    """Trustworthiness: whether neighbours in the embedding are neighbours among the points.

    T(k) = 1 − 2/(nk(2n − 3k − 1)) Σ_i Σ_{j ∈ U_k(i)} (r(i, j) − k), where U_k(i) are the k nearest embedded
    neighbours of i that are not among its k nearest in X, and r their rank there.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.
    theiler_window : int
        Theiler window: neighbours in time, |i − j| ≤ window, do not count.

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
    k, ranks = ranking(reduction, n_neighbors, theiler_window)
    return _penalised(ranks.before, ranks.after, ranks.candidates, k)


def continuity(reduction: Reduction, *, n_neighbors: int = 5, theiler_window: int = 0) -> float:
    """Continuity: whether neighbours among the points are neighbours in the embedding.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.
    theiler_window : int
        Theiler window: neighbours in time, |i − j| ≤ window, do not count.

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
    k, ranks = ranking(reduction, n_neighbors, theiler_window)
    return _penalised(ranks.after, ranks.before, ranks.candidates, k)


def neighbour_overlap(reduction: Reduction, *, n_neighbors: int = 5, theiler_window: int = 0) -> float:
    """Share of the k nearest neighbours that are the same before and after the embedding.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.
    theiler_window : int
        Theiler window: neighbours in time, |i − j| ≤ window, do not count.

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
    k, ranks = ranking(reduction, n_neighbors, theiler_window)
    before, after = ranks.near(k)
    return float((before & after).sum() / (k * len(before)))


def local_continuity(reduction: Reduction, *, n_neighbors: int = 5, theiler_window: int = 0) -> float:
    """Local continuity meta-criterion: the neighbour overlap minus that of a random embedding.

    LCMC(k) = overlap(k) − k/(n − 1); with a window, n − 1 is replaced by the number of counted neighbours.

    Parameters
    ----------
    reduction : Reduction
        The points and their embedding.
    n_neighbors : int
        k, less than half the number of points.
    theiler_window : int
        Theiler window: neighbours in time, |i − j| ≤ window, do not count.

    Returns
    -------
    float
        At most 1 − k/(n − 1), higher is better; 0 for a random embedding.

    Raises
    ------
    InputError
        As for `trustworthiness`.

    References
    ----------
    L. Chen, A. Buja, Local multidimensional scaling for nonlinear dimension reduction, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> local_continuity(Reduction(X, X, X), n_neighbors=2)
    0.6000000000000001
    """
    k, ranks = ranking(reduction, n_neighbors, theiler_window)
    chance = float(np.mean(k / ranks.candidates))
    return neighbour_overlap(reduction, n_neighbors=n_neighbors, theiler_window=theiler_window) - chance


def _penalised(truth: Array, shown: Array, candidates: Array, k: int) -> float:
    """Compute one minus the ranks in `truth` of the intruders among the k neighbours in `shown`, over their maximum."""
    intruders = (shown > 0) & (shown <= k) & (truth > k)
    most = (k * (2 * candidates - 3 * k + 1) / 2).sum()
    return float(1 - (truth[intruders] - k).sum() / most)
