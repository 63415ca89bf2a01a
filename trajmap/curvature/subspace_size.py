"""How the loss over the Hessian's top subspace changes as samples are added."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.data.places import log_places
from trajmap.data.progress import Progress, counted
from trajmap.data.results.sample_quadratics import SampleQuadratics
from trajmap.data.results.subspace_convergence import SubspaceConvergence
from trajmap.errors import InputError
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective
from trajmap.objective.operator import as_array, as_tensor
from trajmap.objective.samples import losses_by_sample, sample_losses

__all__ = ["sample_quadratics", "subspace_convergence"]


def subspace_convergence(
    objective: Objective,
    theta: Array,
    directions: Array,
    *,
    sigma: float,
    sizes: Sequence[int] | None = None,
    n_perm: int = 200,
    n_points: int = 50,
    random_state: int = 0,
    progress: Progress | None = None,
) -> SubspaceConvergence:
    """Measure Δ_k = E (L_{k+1} − L_k)² over θ + zᵀdirections, z ~ N(0, σ²I), and predict it in closed form.

    L_k is the mean loss of the first k samples of a random order, so Δ_k = V/(k(k + 1)) on average over orders. The
    closed forms of V replace each sample's loss by its second-order expansion at θ. Follows the published method. Its
    closed form uses only the curvatures along each direction, which is exact at a common minimum of all samples, and
    far too small if losses differ at θ.

    Parameters
    ----------
    objective : Objective
        A loss that is a mean over samples.
    theta : array-like, shape (P,)
        The point, for example the end of a training.
    directions : array-like, shape (D, P)
        Orthonormal rows, for example a top eigenspace's vectors.
    sigma : float
        Standard deviation of the cloud in each direction.
    sizes : sequence of int, optional
        Numbers of samples k, from 1 to N − 1; twenty between 10 and N − 1 by default.
    n_perm : int
        Random orders of the samples.
    n_points : int
        Pairs ±z of the cloud.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the permutations done and their number.

    Returns
    -------
    SubspaceConvergence
        Measured and predicted values; its ``sufficient_size(Δ)`` is the number of samples that is enough.

    Raises
    ------
    InputError
        If the sizes are outside [1, N − 1], or the directions are not orthonormal.

    References
    ----------
    N. Kiselev, A. Grabovoy, Unraveling the Hessian: a key to smooth convergence in loss function landscapes, 2024, and
    its continuation in low-dimensional subspaces.
    """
    theta = check_array("theta", theta, (objective.size,), dtype=np.float64)
    rows = check_array("directions", directions, (None, objective.size), dtype=np.float64)
    # eigenvectors may have a residual of 1e-2 and float32: their rows are orthonormal up to that
    if not np.allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-2):
        raise InputError(worded("directions", "orthonormal rows", "others", "numpy.linalg.qr"))
    rng = np.random.default_rng(random_state)
    z = check_positive("sigma", sigma) * rng.standard_normal((check_count("n_points", n_points), len(rows)))
    cloud = sample_losses(objective, theta + np.concatenate([z, -z]) @ rows).T
    N, found = len(cloud), sample_quadratics(objective, theta, rows)
    values, gradients, hessians = found.values, found.gradients, found.hessians
    even = 0.5 * (cloud[:, :n_points] + cloud[:, n_points:]) - values[:, None]
    k = log_places(min(10, N - 1), N - 1, 20) if sizes is None else np.asarray(sizes)
    if N < 3 or k.min() < 1 or k.max() > N - 1:
        raise InputError(worded("sizes", f"numbers of samples from 1 to {N - 1}", k))
    measured = np.zeros(len(k))
    for _ in counted(range(check_count("n_perm", n_perm)), progress):
        measured += np.mean(_change(cloud[rng.permutation(N)], k) ** 2, axis=1) / n_perm
    d = np.diagonal(hessians, axis1=1, axis2=2)
    Hv = float(np.sum(_variance(hessians)))
    quadratic = float(_variance(values + sigma**2 / 2 * d.sum(axis=1)) + sigma**2 * np.sum(_variance(gradients)))
    published = sigma**4 / 4 * float(2 * np.sum(_variance(d)) + _variance(d.sum(axis=1)))
    return SubspaceConvergence(
        k,
        measured,
        float(np.mean(_variance(cloud))),
        quadratic + sigma**4 / 2 * Hv,
        float(np.mean(_variance(even))),
        published,
        float(sigma),
    )


def sample_quadratics(objective: Objective, theta: Array, directions: Array) -> SampleQuadratics:
    """Expand every sample's loss to second order in a subspace, by forward differentiation.

    Parameters
    ----------
    objective : Objective
        A loss that is a mean over samples.
    theta : array-like, shape (P,)
        The point.
    directions : array-like, shape (D, P)
        Rows that span the subspace.

    Returns
    -------
    SampleQuadratics
        Values, gradients and Hessians by sample.

    Raises
    ------
    InputError
        If the loss does not support forward differentiation, for example a loss with its own derivatives.
    """
    point, rows = objective.tensor(theta), as_tensor(directions, objective.like)
    D, zero = len(rows), rows.new_zeros(len(rows))
    unit = torch.eye(D).to(zero)

    def losses(z: torch.Tensor) -> torch.Tensor:
        return losses_by_sample(objective, point + z @ rows)

    def slope(z: torch.Tensor, i: int) -> torch.Tensor:
        return torch.func.jvp(losses, (z,), (unit[i],))[1]

    with isolated_rng(), warnings.catch_warnings():
        # some of torch's own forward derivatives use a deprecated scripting language
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
        try:
            gradients = np.stack([as_array(slope(zero, i)) for i in range(D)], axis=1).astype(np.float64)
        except RuntimeError as error:
            known = "a loss that torch.func.jvp can differentiate"
            raise InputError(worded("objective", known, f"one that it cannot ({str(error).split('. ')[0]})")) from error
        hessians = np.empty((len(gradients), D, D))
        for i in range(D):
            for j in range(i + 1):
                Hv = torch.func.jvp(lambda z, i=i: slope(z, i), (zero,), (unit[j],))[1]
                hessians[:, i, j] = hessians[:, j, i] = as_array(Hv)
        return SampleQuadratics(as_array(losses(zero)), gradients, hessians)


def _change(samples: Array, sizes: Array) -> Array:
    """Mean of the first k + 1 rows minus mean of the first k, by size."""
    total = np.cumsum(samples, axis=0)
    ways = (-1, *[1] * (samples.ndim - 1))
    return (samples[sizes] - total[sizes - 1] / sizes.reshape(ways)) / (sizes.reshape(ways) + 1)


def _variance(samples: Array) -> Array:
    """Unbiased covariance over the first axis."""
    return samples.var(axis=0, ddof=1)
