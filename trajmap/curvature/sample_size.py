"""How the loss landscape changes as samples are added."""

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.data.results.sample_convergence import SampleConvergence
from trajmap.errors import InputError

__all__ = ["hessian_norm_bound", "sample_convergence", "subspace_change", "sufficient_size"]


def sample_convergence(
    losses: Array, *, n_perm: int = 100, first: int = 10, random_state: int = 0
) -> SampleConvergence:
    """Compute the mean loss over growing random subsets of samples.

    L_{k+1} − L_k = (ℓ_{k+1} − L_k)/(k + 1) exactly, so the change decays as 1/k, with the losses' mean absolute
    deviation as the constant. Follows the published method.

    Parameters
    ----------
    losses : array-like, shape (n,)
        Loss of each sample at one point θ.
    n_perm : int
        Random orders of the samples.
    first : int
        Smallest k used for slope and constant.
    random_state : int
        Seed.

    Returns
    -------
    SampleConvergence
        The curve and its theoretical law.

    Raises
    ------
    InputError
        If there are fewer than 20 samples, or a loss is not finite.

    References
    ----------
    N. Kiselev, A. Grabovoy, Unraveling the Hessian: a key to smooth convergence in loss function landscapes, 2024.

    Examples
    --------
    >>> found = sample_convergence(np.random.default_rng(0).exponential(size=2000))
    >>> bool(abs(found.slope + 1) < 0.03), bool(abs(found.constant / found.deviation - 1) < 0.02)
    (True, True)
    """
    losses = check_array("losses", losses, (None,), dtype=np.float64)
    n = len(losses)
    if n < 20 or not np.isfinite(losses).all():
        raise InputError(worded("losses", "at least 20 finite values", f"{n}"))
    rng = np.random.default_rng(random_state)
    sizes = np.arange(1, n)
    total = np.zeros(n - 1)
    for _ in range(check_count("n_perm", n_perm)):
        means = np.cumsum(losses[rng.permutation(n)]) / np.arange(1, n + 1)
        total += np.abs(np.diff(means))
    changes = total / n_perm
    late = (sizes >= check_count("first", first)) & (changes > 0)
    if not late.any():
        return SampleConvergence(sizes, changes, float("nan"), 0.0, 0.0)
    slope = float(np.polyfit(np.log(sizes[late]), np.log(changes[late]), 1)[0])
    constant = float(np.mean((sizes[late] + 1) * changes[late]))
    return SampleConvergence(sizes, changes, slope, constant, float(np.abs(losses - losses.mean()).mean()))


def subspace_change(eigenvalues: Array, others: Array, sigma: float) -> float:
    """Mean squared change of the loss over a Gaussian cloud in the Hessian's top subspace, in closed form.

    For θ* + P z with z ~ N(0, σ²I) and Hessians with eigenvalues λ and λ′ on the same vectors, the change of the
    quadratic is ½ Σ d_j z_j² with d = λ′ − λ, whose mean square is (σ⁴/4)(2 Σ d_j² + (Σ d_j)²), as published.

    Parameters
    ----------
    eigenvalues, others : array-like, shape (k,)
        Eigenvalues with k and with k + 1 samples.
    sigma : float
        Standard deviation of the cloud.

    Returns
    -------
    float
        Mean squared change, in squared units of the loss.

    Examples
    --------
    >>> subspace_change([1.0, 2.0], [2.0, 2.0], 1.0)
    0.75
    """
    a = check_array("eigenvalues", eigenvalues, (None,), dtype=np.float64)
    d = check_array("others", others, (len(a),), dtype=np.float64) - a
    return float(check_positive("sigma", sigma) ** 4 / 4 * (2 * np.sum(d**2) + np.sum(d) ** 2))


def sufficient_size(sizes: Array, changes: Array, delta: float) -> int:
    """Return the smallest number of samples beyond which the change stays below Δ.

    Parameters
    ----------
    sizes, changes : array-like, shape (m,)
        As in `sample_convergence`, or squared changes in the Hessian's subspace.
    delta : float
        Δ.

    Returns
    -------
    int
        The size.

    Raises
    ------
    InputError
        If the change is not below Δ at the largest size, so that more samples are needed.

    Examples
    --------
    >>> sufficient_size([1, 2, 3, 4], [1.0, 0.1, 0.5, 0.2], 0.3)
    4
    """
    sizes = check_array("sizes", sizes, (None,))
    changes = check_array("changes", changes, (len(sizes),), dtype=np.float64)
    above = np.flatnonzero(~(changes < check_positive("delta", delta)))
    if len(above) and above[-1] == len(sizes) - 1:
        raise InputError(worded("delta", f"more than the change {changes[-1]:.3g} at the largest size", delta))
    return int(sizes[above[-1] + 1] if len(above) else sizes[0])


def hessian_norm_bound(weight_norm: float, input_norm: float, n_layers: int) -> float:
    """Bound the norm of one sample's Hessian, for bias-free ReLU networks with cross-entropy (published, theorem 1).

    Parameters
    ----------
    weight_norm : float
        Largest spectral norm of a weight matrix, not 1.
    input_norm : float
        Largest norm of an input.
    n_layers : int
        L.

    Returns
    -------
    float
        L√2 M_x² M_W^{2L} + √2 M_W²(M_W^{2L} − 1)/(M_W² − 1): it grows with depth, and is too large by orders of
        magnitude.

    References
    ----------
    N. Kiselev, A. Grabovoy, 2024.
    """
    M, x, L = check_positive("weight_norm", weight_norm), check_positive("input_norm", input_norm), n_layers
    power = M ** (2 * check_count("n_layers", n_layers))
    chain = float(L) if M == 1 else (power - 1) / (M**2 - 1)
    return float(L * np.sqrt(2) * x**2 * power + np.sqrt(2) * M**2 * chain)
