"""Spectral density by stochastic Lanczos quadrature, and what a spectrum amounts to."""

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.curvature.operators import Product
from trajmap.data.spectral_density import SpectralDensity
from trajmap.errors import InputError

__all__ = ["largest_gap", "spectral_density"]


def spectral_density(
    product: Product, size: int, *, n_probes: int = 6, n_steps: int = 60, random_state: int = 0
) -> SpectralDensity:
    """Estimate the density of eigenvalues of a symmetric operator.

    Parameters
    ----------
    product : callable
        v ↦ Av, as ``objective.hessian(theta)``.
    size : int
        P.
    n_probes : int
        Random probes.
    n_steps : int
        Lanczos steps each, with full reorthogonalisation; moments up to 2·n_steps − 1 are those of the probe.
    random_state : int
        Seed.

    Returns
    -------
    SpectralDensity
        From n_probes × n_steps products; exact where n_steps reaches the number of distinct eigenvalues, up to the
        probes' weights.

    Raises
    ------
    InputError
        If a product holds NaN or inf.

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
    rng = np.random.default_rng(random_state)
    m = min(check_count("n_steps", n_steps), size)
    found = []
    for _ in range(check_count("n_probes", n_probes)):
        start = rng.choice([-1.0, 1.0], size=size) / np.sqrt(size)
        found.append(_quadrature(product, start, m))
    longest = max(len(nodes) for nodes, _ in found)
    # a chain that closed early is exact: nodes without weight fill its row
    nodes = np.stack([np.pad(n, (0, longest - len(n)), mode="edge") for n, _ in found])
    weights = np.stack([np.pad(w, (0, longest - len(w))) for _, w in found])
    return SpectralDensity(nodes, weights, size)


def _quadrature(product: Product, start: Array, m: int) -> tuple[Array, Array]:
    basis = np.zeros((m, len(start)))
    basis[0] = start
    alpha: list[float] = []
    beta: list[float] = []
    for i in range(m):
        w = np.asarray(product(basis[i]))
        if not np.isfinite(w).all():
            raise InputError(worded("product", "finite products", f"NaN or inf in step {i + 1}"))
        alpha.append(float(w @ basis[i]))
        for _ in range(2):
            w = w - (w @ basis[: i + 1].T) @ basis[: i + 1]
        norm = float(np.linalg.norm(w))
        if i + 1 == m or norm <= 1e-10 * np.max(np.abs([*alpha, *beta])):
            break
        beta.append(norm)
        basis[i + 1] = w / norm
    tridiagonal = np.diag(alpha) + np.diag(beta[: len(alpha) - 1], 1) + np.diag(beta[: len(alpha) - 1], -1)
    values, vectors = np.linalg.eigh(tridiagonal)
    return values, vectors[0] ** 2


def largest_gap(eigenvalues: Array) -> tuple[int, float]:
    """Count the outliers among descending positive eigenvalues: those before the largest ratio of neighbours.

    Parameters
    ----------
    eigenvalues : array-like, shape (k,)
        The top of a spectrum.

    Returns
    -------
    count : int
        Eigenvalues above the gap.
    ratio : float
        λ_count/λ_{count+1}; near 1 there is no gap to speak of.

    Examples
    --------
    >>> largest_gap([9.0, 8.0, 2.0, 1.8])
    (2, 4.0)
    """
    values = np.sort(check_array("eigenvalues", eigenvalues, (None,), dtype=np.float64))[::-1]
    values = values[values > 0]
    if len(values) < 2:
        return len(values), float("inf")
    ratios = values[:-1] / values[1:]
    i = int(np.argmax(ratios))
    return i + 1, float(ratios[i])
