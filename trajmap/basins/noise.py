"""The loss under noise of growing size."""

from collections.abc import Sequence

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive
from trajmap.basins.asymmetry import signed_noise
from trajmap.data.normalise import Normalise, model_norm
from trajmap.data.progress import Progress, counted
from trajmap.data.results.noise_rise import NoiseRise
from trajmap.objective.objective import Objective

__all__ = ["noise_rise"]


def noise_rise(
    objective: Objective,
    theta: Array,
    *,
    scales: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.5),
    n_draws: int = 20,
    normalise: Normalise = model_norm,
    random_state: int = 0,
    progress: Progress | None = None,
) -> NoiseRise:
    """Measure the ruggedness of the landscape around a solution: the rise of the loss under Gaussian noise.

    Flat solutions often generalise better, but flatness also depends on the length of the training: compare solutions
    at equal loss. This is a reconstruction; the published set-up is not public.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The solution.
    scales : sequence of float
        Norms of the noise, in units of ‖θ‖.
    n_draws : int
        Draws a scale; the same draws serve all scales.
    normalise : callable
        As of `signed_noise`.
    random_state : int
        Seed of the first draw.
    progress : callable, optional
        Called with the draws done and their number.

    Returns
    -------
    NoiseRise
        Losses by scale.

    References
    ----------
    C. Liao et al., Exploring loss landscapes through the lens of spin glass theory, 2024.

    Examples
    --------
    >>> import torch
    >>> bowl = Objective(torch.nn.Linear(2, 1, bias=False), lambda m, x: m(x).square().sum() / 2, [torch.eye(2)])
    >>> found = noise_rise(bowl, [30.0, 40.0], scales=(0.1, 0.2), n_draws=200)
    >>> bool(abs(found.rises[1] / (0.5 * 10.0**2) - 1) < 0.3)
    True
    """
    theta = check_array("theta", theta, (objective.size,), dtype=np.float64)
    steps = np.array([check_positive("scales", scale) for scale in scales])
    losses = []
    for seed in counted(range(random_state, random_state + check_count("n_draws", n_draws)), progress):
        noise = signed_noise(objective, theta, share=0.0, scale=1.0, normalise=normalise, random_state=seed)
        losses.append(objective.values(theta + steps[:, None] * noise))
    return NoiseRise(steps, np.array(losses).T, objective.value(theta))
