"""Symmetric operators on parameter space, with tensors internally and arrays in their public call."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.data.layout import Layout
from trajmap.data.results.batch_gradients import BatchGradients
from trajmap.errors import InputError
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.kernels import twice_differentiable
from trajmap.objective.losses import Supervised
from trajmap.objective.objective import Objective
from trajmap.objective.operator import Operator, as_array
from trajmap.objective.splitting import split_batches
from trajmap.objective.strategy import Parts

__all__ = ["Product", "Scaled", "as_operator", "batch_gradients", "covariance_product", "gauss_newton", "restricted"]

Product = Operator | Callable[[Array], Array]


def as_operator(product: Product, size: int) -> Operator:
    """Return an operator unchanged, and a function of arrays as a float64 operator on the CPU.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Av.
    size : int
        P.

    Returns
    -------
    Operator
        An operator of that size.

    Raises
    ------
    InputError
        If the operator has another size.

    Examples
    --------
    >>> as_operator(lambda v: 2 * v, 3)(np.ones(3)).tolist()
    [2.0, 2.0, 2.0]
    """
    if not isinstance(product, Operator):
        return _Function(product, check_count("size", size))
    if product.size != size:
        raise InputError(worded("size", f"{product.size}, the operator's", size))
    return product


class _Function(Operator):
    """A function of float64 arrays."""

    def __init__(self, function: Callable[[Array], Array], size: int) -> None:
        super().__init__(torch.empty(0, dtype=torch.float64), size)
        self._function = function

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Call the function with a copy, and copy its result, because it may keep or change both."""
        found = self._function(as_array(vector).copy())
        return torch.tensor(check_array("product", found, (self.size,), dtype=np.float64))


def gauss_newton(objective: Objective, theta: Array) -> Operator:
    """Generalised Gauss–Newton product v ↦ Jᵀ H_out J v; the Fisher information for cross-entropy.

    It is the Hessian of the model linearised in its parameters: positive semidefinite if the criterion is convex in the
    outputs, and equal to the Hessian for a perfect fit.

    Parameters
    ----------
    objective : Objective
        An objective with a loss made by ``supervised``, whose criterion is known.
    theta : array-like, shape (P,)
        The point.

    Returns
    -------
    Operator
        Each product costs about three gradients.

    Raises
    ------
    InputError
        If the loss was not made by ``supervised``.

    References
    ----------
    N. Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, 2002.

    Examples
    --------
    >>> from trajmap.objective.losses import supervised
    >>> x = torch.tensor([[1.0, 2.0]])
    >>> mse = supervised(torch.nn.functional.mse_loss)
    >>> line = Objective(torch.nn.Linear(2, 1, bias=False), mse, [(x, torch.zeros(1, 1))])
    >>> gauss_newton(line, [0.0, 0.0])(np.array([1.0, 0.0])).tolist()
    [2.0, 4.0]
    """
    loss = objective.parts.functions["loss"]
    if not isinstance(loss, Supervised):
        raise InputError(worded("objective", "a loss made by trajmap.supervised(criterion)", "another function"))
    return _GaussNewton(objective.parts, loss.criterion, objective.tensor(theta))


class _GaussNewton(Operator):
    """Jᵀ H_out J, batch by batch."""

    def __init__(self, parts: Parts, criterion: Callable[..., torch.Tensor], point: torch.Tensor) -> None:
        super().__init__(point, len(point))
        self._parts, self._criterion, self._point = parts, criterion, point

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        twin, total = self._parts.twin, torch.zeros_like(self._point)
        along = twin.like_leaves(vector)
        with twin.lock, isolated_rng(), twin.differentiable(), twice_differentiable():
            twin.visit(lambda flat: flat.copy_(self._point), self)
            for weight, (x, y) in self._parts.weighted:
                outputs = twin.module(x)
                twin.state.restore()
                Hv = self._bent(outputs, _pushed(outputs, twin.leaves, along), y)
                total.add_(twin.join(_pulled(outputs, twin.leaves, Hv)), alpha=weight)
        return total

    def _bent(self, outputs: torch.Tensor, pushed: torch.Tensor, y: Any) -> torch.Tensor:
        """Multiply by the criterion's Hessian in the outputs."""
        free = outputs.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self._criterion(free, y), free, create_graph=True)
        return torch.autograd.grad(slope, free, pushed)[0] if slope.requires_grad else torch.zeros_like(free)


def _pulled(
    outputs: torch.Tensor, leaves: list[torch.nn.Parameter], u: torch.Tensor, *, again: bool = False
) -> tuple[torch.Tensor, ...]:
    """Jᵀu."""
    return torch.autograd.grad(outputs, leaves, u, create_graph=again, allow_unused=True, materialize_grads=True)


def _pushed(outputs: torch.Tensor, leaves: list[torch.nn.Parameter], along: list[torch.Tensor]) -> torch.Tensor:
    """J v by two backward passes: the derivative of Jᵀu along v, with respect to the dummy u."""
    dummy = torch.zeros_like(outputs, requires_grad=True)
    pulled = _pulled(outputs, leaves, dummy, again=True)
    pairs = [(part, v) for part, v in zip(pulled, along, strict=True) if part.requires_grad]
    if not pairs:
        return torch.zeros_like(outputs)
    (found,) = torch.autograd.grad([part for part, _ in pairs], dummy, [v for _, v in pairs], retain_graph=True)
    return found


def batch_gradients(objective: Objective, theta: Array, *, batch_size: int = 0) -> BatchGradients:
    """Gradients of the loss on each batch, or on pieces of batches.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    batch_size : int
        Samples per piece, for example the optimizer's batch size; 0 for the objective's own batches.

    Returns
    -------
    BatchGradients
        One row a piece, float32 where the model is, else float64, with their shares.
    """
    parts = objective.parts
    point = objective.tensor(theta)
    pieces, shares = split_batches(parts.batches, parts.weighing, batch_size)
    rows = [as_array(objective.on_batches(pieces[i : i + 1], [1.0]).gradient(point)) for i in range(len(pieces))]
    return BatchGradients(np.stack(rows), np.array(shares))


def covariance_product(gradients: BatchGradients, *, device: torch.device | str = "cpu") -> Operator:
    """Product with the covariance of gradients, C = Σ w (g − ḡ)(g − ḡ)ᵀ, whose shares are w; C is not formed.

    Parameters
    ----------
    gradients : BatchGradients
        One row a piece of data; float32 rows stay float32.
    device : torch.device or str
        Device of the rows and products.

    Returns
    -------
    Operator
        v ↦ Cv.

    Examples
    --------
    >>> rows = BatchGradients(np.array([[1.0, 0], [-1, 0]]), np.array([0.5, 0.5]))
    >>> covariance_product(rows)(np.array([3.0, 4])).tolist()
    [3.0, 0.0]
    """
    rows, weights = (torch.tensor(part, device=device) for part in (gradients.gradients, gradients.weights))
    return _Covariance(rows, weights)


class _Covariance(Operator):
    """Centred rows of gradients, with their weights."""

    def __init__(self, rows: torch.Tensor, weights: torch.Tensor) -> None:
        super().__init__(rows, rows.shape[1])
        self._rows, self._weights = rows, weights
        for start in range(0, self.size, 2**16):
            columns = rows[:, start : start + 2**16]
            columns.sub_((weights @ columns.double()).to(rows.dtype))

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        along = torch.zeros_like(self._weights)
        for start in range(0, self.size, 2**16):
            along += (self._rows[:, start : start + 2**16] @ vector[start : start + 2**16]).double()
        along *= self._weights
        return self._rows.T @ along.to(vector.dtype)


class Scaled(Operator):
    """S A S with a diagonal S, for example a preconditioned Hessian.

    Parameters
    ----------
    inner : Operator
        A.
    scale : torch.Tensor, shape (P,)
        The diagonal.
    """

    def __init__(self, inner: Operator, scale: torch.Tensor) -> None:
        super().__init__(scale, inner.size)
        self._inner, self._scale = inner, scale

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of shape (P,)."""
        return self._scale * self._inner.multiply(self._scale * vector)


def restricted(product: Product, layout: Layout, names: list[str]) -> tuple[Operator, Array]:
    """Restrict an operator to some parameters: the diagonal block of a layer.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Av on all parameters.
    layout : Layout
        Layout of θ.
    names : list of str
        The parameters of the block.

    Returns
    -------
    block : Operator
        Operator on vectors of the block's size.
    places : numpy.ndarray of int
        Places of the block's entries in θ.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    unknown = [name for name in names if name not in layout.names]
    if unknown or not names:
        raise InputError(worded("names", f"parameters among {', '.join(layout.names)}", ", ".join(unknown) or "none"))
    starts = np.cumsum([0, *layout.sizes])
    ranges = [np.arange(a, a + n) for name, a, n in zip(layout.names, starts, layout.sizes, strict=False)
              if name in names]  # fmt: skip
    places = np.concatenate(ranges)
    return _Block(as_operator(product, layout.size), places), places


class _Block(Operator):
    """The diagonal block of an operator at some places."""

    def __init__(self, inner: Operator, places: Array) -> None:
        super().__init__(torch.empty(0, dtype=inner.dtype, device=inner.device), len(places))
        self._inner, self._places = inner, torch.tensor(places, device=inner.device)

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        whole = vector.new_zeros(self._inner.size).index_copy_(0, self._places, vector)
        return self._inner.multiply(whole)[self._places]
