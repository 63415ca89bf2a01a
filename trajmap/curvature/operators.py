"""Symmetric operators on parameter space, each as a function v ↦ Av of arrays of shape (P,)."""

from collections.abc import Callable

import numpy as np
import torch

from trajmap._validation import Array, check_array, worded
from trajmap.data.layout import Layout
from trajmap.errors import InputError
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.losses import Supervised
from trajmap.objective.objective import Objective
from trajmap.objective.operator import as_array
from trajmap.objective.splitting import split_batches

__all__ = ["Product", "batch_gradients", "covariance_product", "gauss_newton", "restricted"]

Product = Callable[[Array], Array]


def gauss_newton(objective: Objective, theta: Array) -> Product:
    """Generalised Gauss–Newton product v ↦ Jᵀ H_out J v; for cross-entropy it is the Fisher information.

    The part of the Hessian that is left when the model is taken as linear in its parameters: never negative where the
    criterion is convex in the outputs, and equal to the Hessian where the fit is perfect.

    Parameters
    ----------
    objective : Objective
        With a loss made by ``supervised``, whose outputs and criterion are told apart.
    theta : array-like, shape (P,)
        The point.

    Returns
    -------
    callable
        The product; each costs about three gradients.

    Raises
    ------
    InputError
        If the loss is another function.

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
    parts = objective.parts
    loss = parts.functions["loss"]
    if not isinstance(loss, Supervised):
        raise InputError(worded("objective", "a loss made by trajmap.supervised(criterion)", "another function"))
    criterion = loss.criterion
    point = parts.tensor(check_array("theta", theta, (objective.size,))).requires_grad_()

    def product(v: Array) -> Array:
        vector = parts.tensor(check_array("v", v, (objective.size,)))
        total = torch.zeros_like(vector)
        with isolated_rng(), torch.enable_grad():
            for weight, (x, y) in zip(parts.weights, parts.batches, strict=True):
                outputs = parts.model_at(point)(x)
                # J v by two backward passes: the derivative of Jᵀu along v, with respect to the dummy u
                dummy = torch.zeros_like(outputs, requires_grad=True)
                (pulled,) = torch.autograd.grad(outputs, point, dummy, create_graph=True)
                (pushed,) = torch.autograd.grad(pulled, dummy, vector, retain_graph=True)
                free = outputs.detach().requires_grad_()
                (slope,) = torch.autograd.grad(criterion(free, y), free, create_graph=True)
                bent = torch.autograd.grad(slope, free, pushed)[0] if slope.requires_grad else torch.zeros_like(free)
                total += weight * torch.autograd.grad(outputs, point, bent)[0]
        return as_array(total).astype(np.float64)

    return product


def batch_gradients(objective: Objective, theta: Array, *, samples: int = 0) -> tuple[Array, Array]:
    """Gradients of the loss on each batch, or on pieces of batches.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    samples : int
        Samples a piece, as the optimizer's batch size; 0 for the objective's own batches.

    Returns
    -------
    gradients : numpy.ndarray, shape (B, P)
        One row a piece, float64.
    weights : numpy.ndarray, shape (B,)
        Shares, which sum to one: ``weights @ gradients`` is the gradient.
    """
    parts = objective.parts
    point = parts.tensor(check_array("theta", theta, (objective.size,))).requires_grad_()
    pieces, shares = split_batches(parts.batches, parts.weighing, samples)
    rows = []
    with isolated_rng(), torch.enable_grad():
        for piece in pieces:
            loss = parts.functions["loss"](parts.model_at(point), piece)
            rows.append(as_array(torch.autograd.grad(loss, point)[0]).astype(np.float64))
    return np.stack(rows), np.array(shares)


def covariance_product(gradients: Array, weights: Array) -> Product:
    """Product with the covariance of gradients, C = Σ w (g − ḡ)(g − ḡ)ᵀ, from `batch_gradients`; C is not formed.

    Parameters
    ----------
    gradients : array-like, shape (B, P)
        One row a piece of data.
    weights : array-like, shape (B,)
        Their shares.

    Returns
    -------
    callable
        v ↦ Cv.

    Examples
    --------
    >>> covariance_product(np.array([[1.0, 0], [-1, 0]]), np.array([0.5, 0.5]))(np.array([3.0, 4])).tolist()
    [3.0, 0.0]
    """
    gradients = check_array("gradients", gradients, (None, None), dtype=np.float64)
    weights = check_array("weights", weights, (len(gradients),), dtype=np.float64)
    centred = gradients - weights @ gradients
    return lambda v: centred.T @ (weights * (centred @ v))


def restricted(product: Product, layout: Layout, names: list[str]) -> tuple[Product, Array]:
    """Restrict an operator to some parameters: the diagonal block of a layer.

    Parameters
    ----------
    product : callable
        v ↦ Av on all parameters.
    layout : Layout
        Which entry is which.
    names : list of str
        The parameters of the block.

    Returns
    -------
    product : callable
        On vectors of the block's size.
    places : numpy.ndarray of int
        Where the block's entries lie in θ.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    unknown = [name for name in names if name not in layout.names]
    if unknown or not names:
        raise InputError(worded("names", f"parameters among {', '.join(layout.names)}", ", ".join(unknown) or "none"))
    marks = layout.join({name: np.full(shape, float(name in names)) for name, shape in zip(
        layout.names, layout.shapes, strict=True)})  # fmt: skip
    places = np.flatnonzero(marks)

    def block(v: Array) -> Array:
        whole = np.zeros(layout.size)
        whole[places] = v
        return product(whole)[places]

    return block, places
