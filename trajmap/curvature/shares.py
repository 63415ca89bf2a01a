"""Shares in a subspace by chance, by noise, and without noise: baselines of an alignment."""

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.curvature.angles import orthonormal_rows, overlap_baseline
from trajmap.curvature.operators import Product
from trajmap.data.results.batch_gradients import BatchGradients
from trajmap.data.results.drift_share import DriftShare
from trajmap.errors import InputError

__all__ = ["drift_share", "frozen_quadratic_run", "isotropic_share", "noise_share"]


def isotropic_share(k: int, size: int) -> Array:
    """Quantiles (.05, .5, .95) of the share of a random direction in a k-dimensional subspace: Beta(k/2, (P − k)/2)."""
    return overlap_baseline(1, k, size)


def noise_share(basis: Array, gradients: BatchGradients) -> float:
    """Share of the gradient noise in a subspace, tr(VᵀCV)/tr C, from gradients of pieces of data.

    Minibatch noise alone is mostly in the top eigenspace, so a step's share is informative only above this value.

    Parameters
    ----------
    basis : array-like, shape (k, P)
        Rows that span the subspace.
    gradients : BatchGradients
        With as many samples a piece as the optimizer's batches had.

    Returns
    -------
    float
        In [0, 1]; NaN for one piece.

    Examples
    --------
    >>> noise_share([[1.0, 0]], BatchGradients([[1.0, 1], [-1, -1]], [0.5, 0.5]))
    0.5
    """
    rows, weights = gradients.gradients.astype(np.float64), gradients.weights
    V = orthonormal_rows("basis", basis)
    centred = (rows - weights @ rows) * np.sqrt(weights)[:, None]
    total = float(np.sum(centred**2))
    return float(np.sum((centred @ V.T) ** 2) / total) if total > 0 else float("nan")


def drift_share(basis: Array, drifts: Array) -> DriftShare:
    """Share of the mean drift in a subspace, from replicate branches, without the noise's bias.

    The squared norm of a noisy drift is too large, in the subspace and outside it. Products of *different* branches
    have no such bias: Σ_{a≠b} ⟨V x_a, V x_b⟩ / Σ_{a≠b} ⟨x_a, x_b⟩.

    Parameters
    ----------
    basis : array-like, shape (k, P)
        Rows that span the subspace.
    drifts : array-like, shape (K, P)
        Displacements of K ≥ 3 branches from one iterate, each with its own batch order.

    Returns
    -------
    DriftShare
        The estimate, with its error.

    Raises
    ------
    InputError
        If there are fewer than three branches.

    Examples
    --------
    >>> drift_share([[1.0, 0, 0, 0]], [[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])
    DriftShare(value=1, error=0)
    """
    drifts = check_array("drifts", drifts, (None, None), dtype=np.float64)
    if len(drifts) < 3:
        raise InputError(worded("drifts", "at least 3 branches", f"{len(drifts)}"))
    V = orthonormal_rows("basis", basis)
    whole, inside = drifts @ drifts.T, (drifts @ V.T) @ (drifts @ V.T).T

    def ratio(keep: Array) -> float:
        pick = np.ix_(keep, keep)
        off = ~np.eye(len(keep), dtype=bool)
        return float(inside[pick][off].sum() / whole[pick][off].sum())

    K = len(drifts)
    left = np.array([ratio(np.delete(np.arange(K), i)) for i in range(K)])
    # a ratio of unbiased numbers is biased by their common noise; the jackknife removes this to first order
    value = K * ratio(np.arange(K)) - (K - 1) * float(left.mean())
    return DriftShare(value, float(np.sqrt((K - 1) * np.var(left))))


def frozen_quadratic_run(product: Product, gradient: Array, *, lr: float, n_steps: int, momentum: float = 0.0) -> Array:
    """Continue a run on the quadratic model at its iterate: gradient descent on gᵀx + ½ xᵀHx from x = 0.

    Parameters
    ----------
    product : callable
        v ↦ Hv at the iterate.
    gradient : array-like, shape (P,)
        Gradient there.
    lr, momentum : float
        Learning rate and momentum of the optimizer.
    n_steps : int
        Steps.

    Returns
    -------
    numpy.ndarray, shape (n_steps + 1, P)
        Displacements from the iterate; while their cosine with the real ones is near 1, the quadratic describes the
        run.

    Examples
    --------
    >>> frozen_quadratic_run(lambda v: 2 * v, [1.0], lr=0.25, n_steps=2).ravel().tolist()
    [0.0, -0.25, -0.375]
    """
    gradient = check_array("gradient", gradient, (None,), dtype=np.float64)
    rate = check_positive("lr", lr)
    x, velocity, path = np.zeros_like(gradient), np.zeros_like(gradient), []
    for _ in range(check_count("n_steps", n_steps)):
        path.append(x)
        velocity = momentum * velocity + gradient + product(x)
        x = x - rate * velocity
    return np.stack([*path, x])
