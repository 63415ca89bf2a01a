"""Derivatives of the loss on a chart with respect to its coordinates."""

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.errors import InputError
from trajmap.objective.differentiable import loss_at
from trajmap.objective.objective import Objective
from trajmap.objective.operator import as_tensor
from trajmap.projection.affine_charts import as_plane
from trajmap.projection.chart import Chart, lift
from trajmap.projection.derivatives import lift_jacobian, lift_second
from trajmap.sensitivity.derivatives import diagonal_derivatives

__all__ = ["chart_derivatives"]


def chart_derivatives(
    objective: Objective, chart: Chart, z: Array, *, orders: int = 3, fd_step: float = 1e-3
) -> Sensitivity:
    """Differentiate the reduced loss L(D(z)) along each coordinate, up to third order.

    The lift is expanded to second order around z, D(z + h) ≈ D + J h + ½ D″h², and the loss on that parabola is
    differentiated automatically. Orders 1 and 2 are exact up to the error of the lift's derivatives. Order 3 is exact
    on flat charts; on curved ones it omits g·D‴.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart.
    z : array-like, shape (d,)
        Coordinates.
    orders : int
        Highest order, at most 3.
    fd_step : float
        Half the distance of the finite differences of a curved lift.

    Returns
    -------
    Sensitivity
        One point, and one variable per coordinate.

    Raises
    ------
    InputError
        If `orders` exceeds 3.

    Examples
    --------
    >>> from trajmap.data.plane import Plane
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> cubic = Objective(model, lambda m, x: (m(x) ** 3).sum(), [torch.eye(2)])
    >>> plane = Plane(np.zeros(2), np.array([[2.0, 0], [0, 1]]))
    >>> chart_derivatives(cubic, plane, [1.0, 3.0]).values[0].tolist()
    [[24.0, 27.0], [48.0, 18.0], [48.0, 6.0]]
    """
    z = check_array("z", z, (None,), dtype=np.float64)
    if check_count("orders", orders) > 3:
        raise InputError(worded("orders", "at most 3", orders))
    flat = as_plane(chart, np.vstack([z, z + np.eye(len(z)), z - np.eye(len(z))]), objective.size)
    known = chart if flat is None else flat
    base = objective.tensor(lift(known, z[None], objective.size)[0])
    J = as_tensor(lift_jacobian(known, z, fd_step=fd_step), objective.like)
    second = as_tensor(lift_second(known, z, fd_step=fd_step), objective.like)

    def along(i: int) -> Array:
        def loss(h: torch.Tensor) -> torch.Tensor:
            return loss_at(objective, base + h[0] * J[i] + 0.5 * h[0] ** 2 * second[i, i])

        return diagonal_derivatives(loss, base.new_zeros(1), [0], orders)

    columns = [along(i) for i in range(len(z))]
    return Sensitivity(np.concatenate(columns, axis=1)[None], [f"coordinate {i + 1}" for i in range(len(z))])
