"""The loss in the directions outside a chart."""

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, check_positive
from trajmap.basins.lines import line_losses
from trajmap.curvature.krylov import dot
from trajmap.curvature.lanczos import lanczos_pairs, largest, smallest
from trajmap.curvature.operators import Product, as_operator
from trajmap.curvature.probes import random_normal
from trajmap.data.results.normal_profile import NormalProfile
from trajmap.objective.objective import Objective
from trajmap.objective.operator import Operator
from trajmap.projection.chart import Chart, chart_name, lift
from trajmap.projection.tangents import tangent

__all__ = ["normal_curvatures", "normal_profile"]

_MOST_PRODUCTS = 500


def normal_curvatures(
    product: Product, basis: Array, *, tol: float = 1e-2, random_state: int = 0
) -> tuple[Array, Array]:
    """Lowest and highest curvature orthogonal to a tangent, with their directions.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Hv, as ``objective.hessian(theta)``.
    basis : numpy.ndarray, shape (d, P)
        Orthonormal rows that span the tangent.
    tol : float
        Relative accuracy of the eigenvalues.
    random_state : int
        Seed of the start vector.

    Returns
    -------
    values : numpy.ndarray, shape (2,)
        Ascending; NaN if the tangent is the whole space. In more than 200 dimensions by Lanczos, with at most 500
        products for either end.
    vectors : numpy.ndarray, shape (2, P)
        Unit directions in the normal space.
    """
    d, P = basis.shape
    if d >= P:
        return np.full(2, np.nan), np.full((2, P), np.nan)
    normal = _Normal(as_operator(product, P), basis)
    if P <= 200:  # exact, where that costs little
        complement = np.linalg.svd(basis)[2][d:]
        dense = complement @ np.stack([normal(row) for row in complement]).T
        values, vectors = np.linalg.eigh((dense + dense.T) / 2)
        return values[[0, -1]], (complement.T @ vectors[:, [0, -1]]).T
    rng = np.random.default_rng(random_state)
    start = normal.project(random_normal(normal, rng))
    # a value between both ends: neither search is then drawn to the tangent
    normal.inside = dot(start, normal.multiply(start)) / dot(start, start)
    ends = [
        lanczos_pairs(normal, start, 1, tol=tol, max_products=_MOST_PRODUCTS, order=order, rng=rng)
        for order in (smallest, largest)
    ]
    return np.concatenate([end.values for end in ends]), np.concatenate([end.vectors for end in ends])


class _Normal(Operator):
    """An operator on the normal space, with one eigenvalue of choice on the tangent."""

    def __init__(self, inner: Operator, basis: Array) -> None:
        super().__init__(torch.empty(0, dtype=inner.dtype, device=inner.device), inner.size)
        self._inner, self.inside = inner, 0.0
        self._basis = torch.tensor(basis, dtype=inner.dtype, device=inner.device)

    def project(self, vector: torch.Tensor) -> torch.Tensor:
        return vector - (self._basis @ vector) @ self._basis

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        within = self.project(vector)
        return self.project(self._inner.multiply(within)).add_(vector - within, alpha=self.inside)


def normal_profile(
    objective: Objective,
    chart: Chart,
    z: Array,
    *,
    radius: float,
    n_points: int = 21,
    n_random: int = 3,
    rise: float | None = None,
    fd_step: float | Array = 1e-3,
    random_state: int = 0,
) -> NormalProfile:
    """Evaluate the loss along directions orthogonal to a chart at one point.

    The directions are the normal part of −∇L, those of the highest and the lowest normal curvature, and random ones as
    a baseline: in many dimensions a random direction shows only the mean curvature.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart.
    z : array-like, shape (d,)
        Coordinates.
    radius : float
        Length of the lines on both sides, in parameter distance; the run's reach is a natural choice.
    n_points : int
        Number of offsets; odd to include the point itself.
    n_random : int
        Random directions.
    rise : float, optional
        Rise of the loss that defines a half-width; by default the loss at the point, so that it doubles.
    fd_step : float or array-like
        Half the distance of the lift's finite differences.
    random_state : int
        Seed.

    Returns
    -------
    NormalProfile
        Losses and half-widths.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> import torch
    >>> from trajmap.data.plane import Plane
    >>> model = torch.nn.Linear(3, 1, bias=False)
    >>> bowl = Objective(model, lambda m, x: 2 * m(x).square().sum(), [torch.eye(3)])
    >>> profile = normal_profile(bowl, Plane(np.zeros(3), np.eye(1, 3)), [0.0], radius=1.0, rise=0.5, n_points=5)
    >>> profile.curvatures.tolist(), profile.half_widths[1].tolist()
    ([4.0, 4.0], [0.5, 0.5])
    """
    z = check_array("z", z, (None,), dtype=np.float64)
    radius, n_points = check_positive("radius", radius), check_count("n_points", n_points, low=3)
    theta = lift(chart, z[None], objective.size)[0].astype(np.float64)
    basis = tangent(chart, z, fd_step=fd_step)
    gradient = objective.gradient(theta)
    downhill = -_off(gradient, basis)
    values, vectors = normal_curvatures(objective.hessian(theta), basis, random_state=random_state)
    rng = np.random.default_rng(random_state)
    names = ["downhill", "highest curvature", "lowest curvature"]
    names += [f"random {i + 1}" for i in range(check_count("n_random", n_random, low=0))]
    offsets = np.linspace(-radius, radius, n_points)
    losses = np.full((len(names), n_points), np.nan)
    for i in range(len(names)):
        direction = (downhill, vectors[1], vectors[0])[i] if i < 3 else _off(rng.standard_normal(len(theta)), basis)
        norm = np.linalg.norm(direction)
        if norm > 0:  # NaN means that there is no such direction
            losses[i] = line_losses(objective, theta, direction / norm, offsets)
    value = objective.value(theta)
    level = abs(value) if rise is None else check_positive("rise", rise)
    return NormalProfile(
        offsets, losses, names, values, value, level, float(np.linalg.norm(downhill)), chart_name(chart)
    )


def _off(v: Array, basis: Array) -> Array:
    """Return the part of a vector that is orthogonal to a basis of orthonormal rows."""
    return v - (v @ basis.T) @ basis
