"""Spectral density by stochastic Lanczos quadrature, and the number of outliers of a spectrum."""

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count
from trajmap.curvature.krylov import Krylov
from trajmap.curvature.operators import Product, as_operator
from trajmap.curvature.probes import random_signs
from trajmap.data.progress import Progress
from trajmap.data.results.spectral_density import SpectralDensity
from trajmap.data.results.spectral_gap import SpectralGap
from trajmap.objective.operator import Operator, Watched

__all__ = ["largest_gap", "spectral_density"]


def spectral_density(
    product: Product,
    size: int,
    *,
    n_probes: int = 6,
    n_steps: int = 60,
    random_state: int = 0,
    progress: Progress | None = None,
) -> SpectralDensity:
    """Estimate the density of eigenvalues of a symmetric operator.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Av, for example ``objective.hessian(theta)``.
    size : int
        P.
    n_probes : int
        Random probes.
    n_steps : int
        Lanczos steps each, with partial reorthogonalisation; moments up to 2·n_steps − 1 are those of the probe.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the products done and the most there may be.

    Returns
    -------
    SpectralDensity
        The density, from n_probes × n_steps products. If n_steps reaches the number of distinct eigenvalues, it is
        exact up to the probes' weights.

    References
    ----------
    B. Ghorbani, S. Krishnan, Y. Xiao, An investigation into neural net optimization via Hessian eigenvalue density,
    2019.

    Examples
    --------
    >>> found = spectral_density(lambda v: np.r_[np.full(9, 1.0), 5.0] * v, 10, n_probes=2, n_steps=5)
    >>> found.nodes.shape, round(found.share_below(3), 6) < 1
    ((2, 2), True)
    """
    m, n_probes = min(check_count("n_steps", n_steps), size), check_count("n_probes", n_probes)
    operator = Watched(as_operator(product, size), progress, m * n_probes)
    rng = np.random.default_rng(random_state)
    found = [_quadrature(operator, random_signs(operator, rng), m) for _ in range(n_probes)]
    longest = max(len(nodes) for nodes, _ in found)
    # a chain that ended early is exact: its row is filled with nodes of zero weight
    nodes = np.stack([np.pad(n, (0, longest - len(n)), mode="edge") for n, _ in found])
    weights = np.stack([np.pad(w, (0, longest - len(w))) for _, w in found])
    return SpectralDensity(nodes, weights, size)


def _quadrature(operator: Operator, start: torch.Tensor, m: int) -> tuple[Array, Array]:
    chain = Krylov(operator, "product")
    chain.add(start)
    for row in range(m):
        chain.multiply(row)
        if not chain.pending:
            break
    values, vectors = np.linalg.eigh(chain.projection()[0])
    return values, vectors[0] ** 2


def largest_gap(eigenvalues: Array) -> SpectralGap:
    """Count the outliers among descending positive eigenvalues: those before the largest ratio of neighbours.

    Parameters
    ----------
    eigenvalues : array-like, shape (k,)
        The top of a spectrum.

    Returns
    -------
    SpectralGap
        How many there are, and how large the gap is.

    Examples
    --------
    >>> largest_gap([9.0, 8.0, 2.0, 1.8])
    SpectralGap(count=2, ratio=4)
    """
    values = np.sort(check_array("eigenvalues", eigenvalues, (None,), dtype=np.float64))[::-1]
    values = values[values > 0]
    if len(values) < 2:
        return SpectralGap(len(values), float("inf"))
    ratios = values[:-1] / values[1:]
    i = int(np.argmax(ratios))
    return SpectralGap(i + 1, float(ratios[i]))
