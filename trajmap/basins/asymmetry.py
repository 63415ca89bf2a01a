"""Valleys that rise slowly on one side: sign-consistent noise, and the asymmetry along a path."""

from collections.abc import Sequence

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.data.normalise import Normalise, model_norm
from trajmap.data.progress import Progress, counted
from trajmap.data.results.asymmetry import Asymmetry
from trajmap.data.results.line_profiles import side_asymmetry
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["asymmetry_test", "sign_consistency", "signed_noise", "valley_asymmetry"]


def sign_consistency(a: Array, b: Array) -> float:
    """Share of entries with equal signs: 1 for equal points, ½ for independent ones, 0 for opposite ones.

    As published, models from different starts with a larger share are better connected by a straight line; their cosine
    gives the same information.

    Parameters
    ----------
    a, b : array-like, shape (P,)
        Points, or a noise and a point.

    Returns
    -------
    float
        In [0, 1]; higher means more similar.

    Examples
    --------
    >>> sign_consistency([1.0, -2.0], [3.0, 4.0])
    0.5
    """
    a = check_array("a", a, (None,))
    b = check_array("b", b, a.shape)
    return float(np.mean(np.sign(a) == np.sign(b)))


def signed_noise(
    objective: Objective | Trajectory,
    theta: Array,
    *,
    share: float = 1.0,
    scale: float = 0.5,
    normalise: Normalise = model_norm,
    random_state: int = 0,
) -> Array:
    """Draw Gaussian noise in which a share of the entries has the signs of the model's, as published.

    Parameters
    ----------
    objective : Objective or Trajectory
        The loss, or a run: its layout names the parameter of each entry of θ.
    theta : array-like, shape (P,)
        The model.
    share : float
        Share of entries with set signs: 0 for Gaussian noise, 1 for sign-consistent noise.
    scale : float
        Norm of the noise, in units of ‖θ‖ or of what `normalise` gives.
    normalise : callable
        What the noise is scaled to before `scale` does: `model_norm`, `filter_norm`, or another
        ``f(direction, theta, layout)``.
    random_state : int
        Seed.

    Returns
    -------
    numpy.ndarray, shape (P,)
        The noise.

    Raises
    ------
    InputError
        If `share` is outside [0, 1].

    Examples
    --------
    >>> bowl = Objective.from_function(lambda x: x @ x, size=3, gradient=lambda x: 2 * x)
    >>> sign_consistency(signed_noise(bowl, [3.0, -4.0, 5.0]), [3.0, -4.0, 5.0])
    1.0
    """
    theta = check_array("theta", theta, (objective.layout.size,), dtype=np.float64)
    if not 0 <= share <= 1:
        raise InputError(worded("share", "a number in [0, 1]", share))
    rng = np.random.default_rng(random_state)
    noise = rng.standard_normal(len(theta))
    chosen = rng.permutation(len(theta))[: round(share * len(theta))]
    # an entry of zero has no sign
    noise[chosen] = np.abs(noise[chosen]) * np.where(theta[chosen] == 0, 1.0, np.sign(theta[chosen]))
    return check_positive("scale", scale) * np.asarray(normalise(noise, theta, objective.layout))


def asymmetry_test(
    objective: Objective,
    theta: Array,
    *,
    shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    scale: float = 0.5,
    n_draws: int = 20,
    metric: str = "loss",
    normalise: Normalise = model_norm,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Asymmetry:
    """Compare both sides of a model along noises with a growing share of the model's signs.

    Follows the published protocol; its share 0 is the control.

    Parameters
    ----------
    objective : Objective
        The loss, with its metrics.
    theta : array-like, shape (P,)
        The model.
    shares : sequence of float
        Shares of entries whose sign is the model's, each in [0, 1].
    scale : float
        Norm of the noise, in units of ‖θ‖.
    n_draws : int
        Draws per share; all shares use the same draws.
    metric : str
        ``"loss"``, or the name of one of the objective's metrics.
    normalise : callable
        As of `signed_noise`.
    random_state : int
        Seed of the first draw.
    progress : callable, optional
        Called with the draws done and their number.

    Returns
    -------
    Asymmetry
        The measure on both sides: ratios above 1 mean that the side of the model's own signs is flatter.

    Raises
    ------
    InputError
        If the metric is unknown.

    References
    ----------
    X.-C. Li, J.-L. Tang, S. Zhang, L. Li, D.-C. Zhan, Exploring and exploiting the asymmetric valley of deep neural
    networks, 2024.
    """
    theta = check_array("theta", theta, (objective.size,), dtype=np.float64)
    if metric not in objective.parts.functions:
        raise InputError(worded("metric", f"one of {', '.join(objective.parts.functions)}", repr(metric)))
    seeds = range(random_state, random_state + check_count("n_draws", n_draws))

    def sides(share: float, seed: int) -> Array:
        noise = signed_noise(objective, theta, share=share, scale=scale, normalise=normalise, random_state=seed)
        return objective.evaluate(np.stack([theta + noise, theta - noise]))[metric]

    drawn = counted([(share, seed) for share in shares for seed in seeds], progress)
    found = np.array([sides(share, seed) for share, seed in drawn]).reshape(len(shares), len(seeds), 2)
    return Asymmetry(np.array(shares, dtype=np.float64), found[:, :, 0], found[:, :, 1], metric, float(scale))


def valley_asymmetry(offsets: Array, losses: Array, *, reach: float = 1.0) -> float:
    """Measure the asymmetry of the rise of a loss on the two sides of its middle.

    Parameters
    ----------
    offsets : array-like, shape (n,)
        Increasing, symmetric around 0.
    losses : array-like, shape (n,)
        Losses at the offsets, for example along the mean direction of a path.
    reach : float
        Fraction of the longest offset to use, in (0, 1].

    Returns
    -------
    float
        a = (rise on the right − rise on the left)/(their sum) of the mean rises, in [−1, 1]: 0 for a symmetric valley,
        near 1 if only the right side rises. The published definition uses a ratio c of slopes, which is (1 + a)/(1 − a)
        on average.

    Raises
    ------
    InputError
        If the offsets are not symmetric, or `reach` is outside (0, 1].

    References
    ----------
    H. He, G. Huang, Y. Yuan, Asymmetric valleys: beyond sharp and flat local minima, 2019 (reconstructed).

    Examples
    --------
    >>> x = np.linspace(-1, 1, 21)
    >>> round(valley_asymmetry(x, np.where(x > 0, 3 * x, -x)), 6)
    0.5
    """
    x = check_array("offsets", offsets, (None,), dtype=np.float64)
    y = check_array("losses", losses, (len(x),), dtype=np.float64)
    if not 0 < reach <= 1:
        raise InputError(worded("reach", "a number in (0, 1]", reach))
    if not np.allclose(x, -x[::-1]):
        raise InputError(worded("offsets", "values symmetric around 0", x))
    inside = np.abs(x) <= reach * x[-1] + 1e-12
    return side_asymmetry(x[inside], y[inside])
