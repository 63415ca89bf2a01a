"""First, second and third derivatives along each coordinate, by nested automatic differentiation."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.progress import Progress, counted
from trajmap.data.results.sensitivity import Sensitivity
from trajmap.errors import InputError
from trajmap.objective.differentiable import loss_at
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective

__all__ = ["diagonal_derivatives", "input_derivatives", "weight_derivatives"]

Scalar = Callable[[torch.Tensor], torch.Tensor]


def diagonal_derivatives(
    function: Scalar, point: torch.Tensor, places: Sequence[int], orders: int, progress: Progress | None = None
) -> Array:
    """Compute ∂ᵏf/∂xⱼᵏ for some coordinates, k = 1 … orders, each along its own axis.

    Parameters
    ----------
    function : callable
        Scalar function of a tensor of shape (P,).
    point : torch.Tensor, shape (P,)
        Where.
    places : sequence of int
        The coordinates j.
    orders : int
        Highest order, usually 1 to 3; each order costs one more reverse pass.
    progress : callable, optional
        Called with the coordinates done and their number.

    Returns
    -------
    numpy.ndarray, shape (orders, len(places))
        The cost is linear in the number of coordinates: one chain of backward passes each, of which the first is
        shared. A pass handles all samples at once, but one coordinate, because batching coordinates by ``vmap`` takes
        two to forty times as long on a CPU.
    """
    x = point.detach().clone().requires_grad_()
    with isolated_rng(), torch.enable_grad():
        value = function(x)
        (gradient,) = torch.autograd.grad(value, x, create_graph=orders > 1, materialize_grads=True)
        out = np.empty((orders, len(places)))
        for i, j in enumerate(counted(places, progress)):
            current = gradient[j]
            out[0, i] = float(current.detach())
            for k in range(1, orders):
                if not current.requires_grad:
                    out[k:, i] = 0.0  # constant along the axis
                    break
                last = k + 1 == orders
                (row,) = torch.autograd.grad(
                    current, x, create_graph=not last, retain_graph=True, materialize_grads=True
                )
                current = row[j]
                out[k, i] = float(current.detach())
    return out


def weight_derivatives(
    objective: Objective,
    theta: Array,
    *,
    orders: int = 3,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """Differentiate the loss with respect to weights, each along its own axis.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    orders : int
        Highest order.
    names : sequence of str, optional
        Parameters to take; all by default.
    progress : callable, optional
        Called with the weights done and their number.

    Returns
    -------
    Sensitivity
        One point, and one variable per weight, named ``parameter[i,j]``.

    Raises
    ------
    InputError
        If a name is unknown.

    References
    ----------
    S. Faroz, Sensitivity analysis on the loss landscape (reconstructed: derivatives along coordinates).

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> cubic = Objective(model, lambda m, x: (m(x) ** 3).sum(), [torch.eye(2)])
    >>> weight_derivatives(cubic, [2.0, 3.0]).values[0].tolist()
    [[12.0, 27.0], [12.0, 18.0], [6.0, 6.0]]
    """
    layout = objective.layout
    wanted = list(layout.names) if names is None else list(names)
    unknown = [name for name in wanted if name not in layout.names]
    if unknown:
        raise InputError(worded("names", f"parameters among {', '.join(layout.names)}", ", ".join(unknown)))
    start = 0
    places: list[int] = []
    labels: list[str] = []
    for name, shape, size in zip(layout.names, layout.shapes, layout.sizes, strict=True):
        if name in wanted:
            places += range(start, start + size)
            labels += [f"{name}[{','.join(map(str, np.unravel_index(i, shape)))}]" for i in range(size)]
        start += size
    point = objective.tensor(check_array("theta", theta, (objective.size,)))
    found = diagonal_derivatives(
        lambda t: loss_at(objective, t), point, places, check_count("orders", orders), progress
    )
    return Sensitivity(found[None], labels)


def input_derivatives(
    objective: Objective, theta: Array, *, orders: int = 3, names: Sequence[str] = (), progress: Progress | None = None
) -> Sensitivity:
    """Differentiate each sample's loss with respect to its inputs, and average the absolute values over the samples.

    All samples are differentiated at once: there is one pass per variable and order, at the cost of a gradient. This
    follows the published idea; its details are reconstructed.

    Parameters
    ----------
    objective : Objective
        A loss that is a mean over samples of batches ``(x, y)``, x of shape (N, d).
    theta : array-like, shape (P,)
        The point.
    orders : int
        Highest order.
    names : sequence of str, optional
        Names of the d variables.
    progress : callable, optional
        Called with the batches done and their number.

    Returns
    -------
    Sensitivity
        One point; mean_i |∂ᵏℓ_i/∂x_ijᵏ|.

    Raises
    ------
    InputError
        If batches are not pairs with inputs of two axes.

    References
    ----------
    S. Faroz, Sensitivity analysis on the loss landscape.
    """
    parts = objective.parts
    check_count("orders", orders)
    if not all(isinstance(b, (tuple, list)) and len(b) == 2 and b[0].ndim == 2 for b in parts.batches):
        repair = "differentiate with respect to weights or a chart's coordinates (--by weights, --by chart)"
        raise InputError(worded("objective", "batches (x, y) with x of shape (N, d)", "others", repair))
    d = parts.batches[0][0].shape[1]
    point = objective.tensor(theta)
    total = np.zeros((orders, d))
    with isolated_rng(), torch.enable_grad():
        for weight, (x, y) in counted(parts.weighted, progress, len(parts.batches)):
            total += weight * _of_batch(objective, point, x, y, orders)
    return Sensitivity(total[None], list(names) or [f"x{j}" for j in range(d)])


def _of_batch(objective: Objective, point: torch.Tensor, x: torch.Tensor, y: Any, orders: int) -> Array:
    parts = objective.parts
    inputs = x.detach().clone().requires_grad_()
    # the sum of the samples' losses: a sample's loss depends only on its own inputs
    loss = parts.loss_at(point, (inputs, y)) * len(x)
    (gradient,) = torch.autograd.grad(loss, inputs, create_graph=True, materialize_grads=True)
    out = np.zeros((orders, x.shape[1]))
    for j in range(x.shape[1]):
        column = gradient[:, j]
        out[0, j] = float(column.detach().abs().mean())
        for k in range(1, orders):
            if not column.requires_grad:
                break
            (rows,) = torch.autograd.grad(
                column.sum(), inputs, create_graph=True, retain_graph=True, materialize_grads=True
            )
            column = rows[:, j]
            out[k, j] = float(column.detach().abs().mean())
    return out
