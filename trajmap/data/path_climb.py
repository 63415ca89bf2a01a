"""How high losses climb on the way from one point to another."""

from trajmap._validation import Array

__all__ = ["above_chord", "barrier_height"]


def barrier_height(losses: Array) -> Array:
    """Highest loss of each way above the mean of its ends': the customary barrier.

    Parameters
    ----------
    losses : numpy.ndarray, shape (…, n)
        Along ways, from end to end.

    Returns
    -------
    numpy.ndarray, shape (…)
        Half the difference of the ends at least.

    Examples
    --------
    >>> import numpy as np
    >>> float(barrier_height(np.array([1.0, 4.0, 2.0])))
    2.5
    """
    height: Array = losses.max(axis=-1) - 0.5 * (losses[..., 0] + losses[..., -1])
    return height


def above_chord(t: Array, losses: Array) -> Array:
    """Losses above the straight line between those of the ends; 0 at the ends.

    Parameters
    ----------
    t : numpy.ndarray, shape (n,)
        Positions, from 0 to 1.
    losses : numpy.ndarray, shape (n, …)
        Along a way, one or more values a position.

    Returns
    -------
    numpy.ndarray, shape (n, …)
        Differences.

    Examples
    --------
    >>> import numpy as np
    >>> above_chord(np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 2.0])).tolist()
    [0.0, 2.5, 0.0]
    """
    t = t.reshape(-1, *(1,) * (losses.ndim - 1))
    above: Array = losses - (1 - t) * losses[0] - t * losses[-1]
    return above
