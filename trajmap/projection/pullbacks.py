"""Gradient and Hessian of the loss in chart coordinates."""

import numpy as np

from trajmap._validation import Array, check_array
from trajmap.data.results.pullback import Pullback
from trajmap.objective.objective import Objective
from trajmap.projection.chart import Chart, lift
from trajmap.projection.derivatives import Differentiable, coefficient_second, lift_jacobian, lift_second
from trajmap.projection.frames import framed

__all__ = ["pullback"]


def pullback(objective: Objective, chart: Chart, z: Array, *, fd_step: float | Array = 1e-3) -> Pullback:
    """Pull the loss back to a chart's coordinates, to second order.

    One gradient and d Hessian products: ∇_z = J g, ∇²_z = J H Jᵀ + g·∂²D, and with g_N the part of the gradient
    orthogonal to the tangent, J H Jᵀ + g_N·∂²D is the Hessian of the restricted loss in any coordinates.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart; exact if it is a `Plane` or provides its derivatives.
    z : array-like, shape (d,)
        Coordinates.
    fd_step : float or array-like of shape (d,)
        Half the distance of the differences of the lift, in chart coordinates.

    Returns
    -------
    Pullback
        Loss, derivatives, metric, and the part of the gradient normal to the chart.

    Raises
    ------
    InputError
        If chart and coordinates do not fit.

    Examples
    --------
    >>> import torch
    >>> from trajmap.data.plane import Plane
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> saddle = Objective(model, lambda m, x: (m(x)[0] ** 2 - m(x)[1] ** 2).sum(), [torch.eye(2)])
    >>> found = pullback(saddle, Plane(np.zeros(2), np.eye(2)), [0.0, 0.0])
    >>> found.hessian.tolist(), found.curvatures.tolist()
    ([[2.0, 0.0], [0.0, -2.0]], [-2.0, 2.0])
    """
    z = check_array("z", z, (None,), dtype=np.float64)
    theta = lift(chart, z[None], objective.size)[0]
    J = lift_jacobian(chart, z, fd_step=fd_step)
    gradient = objective.gradient(theta)
    product = objective.hessian(theta)
    Hv = np.stack([product(row) for row in J]) @ J.T
    Hv = (Hv + Hv.T) / 2
    tangent = np.linalg.lstsq(J.T, gradient, rcond=None)[0] @ J
    normal = gradient - tangent
    bends = _bends(chart, z, np.stack([gradient, normal]), fd_step)
    return Pullback(
        z,
        objective.value(theta),
        J @ gradient,
        Hv + bends[0],
        Hv + bends[1],
        J @ J.T,
        float(np.linalg.norm(gradient)),
        float(np.linalg.norm(normal)),
    )


def _bends(chart: Chart, z: Array, vectors: Array, fd_step: float | Array) -> Array:
    """Products v·∂²D, shape (n, d, d), of vectors (n, P)."""
    known = None if isinstance(chart, Differentiable) else framed(chart)
    if known is None:
        return np.moveaxis(lift_second(chart, z, fd_step=fd_step) @ vectors.T, -1, 0)
    frame = known.frame()
    products = np.zeros((frame.n_vectors, len(vectors)))
    for columns, _, basis in frame.blocks():
        products += basis.astype(np.float64, copy=False) @ vectors[:, columns].T
    return np.moveaxis(coefficient_second(known, frame, z, fd_step=fd_step) @ products, -1, 0)
