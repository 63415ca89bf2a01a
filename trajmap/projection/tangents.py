"""The directions in which a chart can move."""

import numpy as np

from trajmap._validation import Array, check_array, worded
from trajmap.errors import InputError
from trajmap.projection.chart import Chart
from trajmap.projection.derivatives import lift_jacobian

__all__ = ["tangent"]


def tangent(chart: Chart, z: Array, *, fd_step: float | Array = 1e-3) -> Array:
    """Orthonormal basis of the image of a chart's lift at one point, by its Jacobian.

    Parameters
    ----------
    chart : Chart
        The chart.
    z : array-like, shape (d,)
        Coordinates of the point.
    fd_step : float or array-like of shape (d,)
        Half the distance of the differences, in chart coordinates. A lift that averages neighbours is smooth only on
        the scale of their spacing: use twice that spacing.

    Returns
    -------
    numpy.ndarray, shape (d, P)
        Orthonormal rows that span the tangent; exact for a plane.

    Raises
    ------
    InputError
        If the lift does not have d independent directions at z.

    Examples
    --------
    >>> from trajmap.data.plane import Plane
    >>> abs(tangent(Plane(np.zeros(3), np.array([[0.0, 5, 0]])), [1.0])).round(9).tolist()
    [[0.0, 1.0, 0.0]]
    """
    z = check_array("z", z, (None,), dtype=np.float64)
    jacobian = lift_jacobian(chart, z, fd_step=fd_step)
    basis, values, _ = np.linalg.svd(jacobian.T, full_matrices=False)
    # 1e-10: below it the second direction is rounding
    if not values[-1] > 1e-10 * values[0]:
        raise InputError(
            worded("fd_step", f"a lift with {len(z)} independent directions at z",
                   f"singular values {values} at step {fd_step}", "a larger step")
        )  # fmt: skip
    return basis.T
