"""The density of a run over its chart, as an effective potential."""

import numpy as np

from trajmap._validation import Array, check_array, worded
from trajmap.data.results.effective_potential import EffectivePotential
from trajmap.data.results.landscape import Grid
from trajmap.errors import InputError

__all__ = ["effective_potential"]


def effective_potential(Z: Array, grid: Grid) -> EffectivePotential:
    """Estimate −log p(z) from a stationary part of a run.

    If a run is stationary and its noise is isotropic and constant, p ∝ exp(−L/T), and −log p is the loss divided by the
    temperature, up to a constant. SGD seldom satisfies these conditions, so they are measured and returned too.

    Parameters
    ----------
    Z : array-like, shape (n, d)
        Chart coordinates of late iterates, in time order.
    grid : Grid
        Grid of the density, with a Gaussian kernel of Scott's width for the effective sample size.

    Returns
    -------
    EffectivePotential
        The potential; check its `reservations` first.

    Raises
    ------
    InputError
        If there are fewer than 20 iterates, or they and the grid differ in dimension.

    References
    ----------
    S. Mandt, M. Hoffman, D. Blei, Stochastic gradient descent as approximate Bayesian inference, 2017.

    Examples
    --------
    >>> Z = np.random.default_rng(0).normal(size=(20000, 1))
    >>> found = effective_potential(Z, Grid((np.linspace(-1.5, 1.5, 7),)))
    >>> found.reservations, bool(abs(found.values[0] - 1.5**2 / 2) < 0.1)
    ([], True)
    """
    from scipy.stats import gaussian_kde

    Z = check_array("Z", Z, (None, grid.ndim), dtype=np.float64)
    n = len(Z)
    if n < 20 or not np.isfinite(Z).all():
        raise InputError(worded("Z", "at least 20 finite rows", f"{n}"))
    worth = np.array([_independent(z) for z in Z.T])
    halves = Z[: n // 2], Z[n // 2 :]
    spread = np.sqrt(sum(half.var(axis=0, ddof=1) / (worth / 2) for half in halves))
    with np.errstate(divide="ignore", invalid="ignore"):
        drift = float(np.max(np.abs(halves[0].mean(axis=0) - halves[1].mean(axis=0)) / spread))
    steps = [float(np.diff(half, axis=0).var(axis=0).sum()) for half in halves]
    covariance = np.atleast_2d(np.cov(np.diff(Z, axis=0).T))
    variances = np.linalg.eigvalsh(covariance)
    density = gaussian_kde(Z.T, bw_method=float(worth.min() ** (-1 / (grid.ndim + 4))))(grid.points.T)
    with np.errstate(divide="ignore"):
        potential = -np.log(density)
    return EffectivePotential(
        grid,
        (potential - potential.min()).reshape(grid.shape),
        float(worth.min()),
        drift,
        min(steps) / max(steps) if max(steps) > 0 else float("nan"),
        float(max(variances[0], 0) / variances[-1]) if variances[-1] > 0 else float("nan"),
    )


def _independent(z: Array) -> float:
    """Effective sample size by the initial positive sequence of autocorrelations (Geyer 1992)."""
    n = len(z)
    centred = z - z.mean()
    power = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[:n]
    if correlation[0] <= 0:
        return 1.0
    correlation = correlation / correlation[0]
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    stop = int(np.argmax(pairs <= 0)) if np.any(pairs <= 0) else len(pairs)
    return float(np.clip(n / max(2 * pairs[:stop].sum() - 1, 1.0), 1.0, n))
