"""Lines and planes through given points."""

import numpy as np

from trajmap._validation import Array, check_array
from trajmap.data.plane import Plane

__all__ = ["interpolation_plane"]


def interpolation_plane(a: Array, b: Array, c: Array | None = None) -> Plane:
    """Lay a line through two points, or a plane through three.

    Parameters
    ----------
    a, b : array-like, shape (P,)
        At z = 0 and z = 1 (of the first coordinate).
    c : array-like, shape (P,), optional
        At z = (0, 1).

    Returns
    -------
    Plane
        A plane of one or two directions.

    Raises
    ------
    InputError
        If shapes differ, or the points lie on one line.

    References
    ----------
    I. Goodfellow, O. Vinyals, A. Saxe, Qualitatively characterizing neural network optimization problems, 2015.

    Examples
    --------
    >>> interpolation_plane([0.0, 0.0], [2.0, 4.0]).inverse_transform([[0.5]])
    array([[1., 2.]])
    """
    a = check_array("a", a, (None,), dtype=np.float64)
    ends = [check_array("b", b, a.shape)]
    if c is not None:
        ends.append(check_array("c", c, a.shape))
    return Plane(a, np.stack([end - a for end in ends]), "interpolation")
