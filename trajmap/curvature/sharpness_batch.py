"""Sharpness for SGD: the curvature of batches along their own gradients."""

import numpy as np

from trajmap._validation import Array, check_array, check_count
from trajmap.curvature.stable_steps import StepRule
from trajmap.objective.objective import Objective
from trajmap.objective.pieces import pieces_of

__all__ = ["batch_sharpness", "drawn_sharpness"]


def batch_sharpness(
    objective: Objective, theta: Array, *, batch_size: int, most: int = 24, random_state: int = 0
) -> float:
    """Mean curvature of batch losses along their own gradients, Σ g_bᵀH_b g_b / Σ |g_b|².

    Parameters
    ----------
    objective : Objective
        The training loss.
    theta : array-like, shape (P,)
        The point.
    batch_size : int
        The optimizer's batch size.
    most : int
        Maximum number of batches, drawn at random.
    random_state : int
        Seed.

    Returns
    -------
    float
        In the units of an eigenvalue, and at most the batches' largest.
    """
    return drawn_sharpness(objective, theta, batch_size=batch_size, most=most, random_state=random_state)[0]


def drawn_sharpness(
    objective: Objective,
    theta: Array,
    *,
    batch_size: int,
    most: int = 24,
    random_state: int = 0,
    rule: StepRule | None = None,
) -> tuple[float, float]:
    """Compute batch sharpness with its standard error, in the metric of an optimizer's steps and with its weight decay.

    Parameters
    ----------
    objective : Objective
        The training loss.
    theta : array-like, shape (P,)
        The point.
    batch_size : int
        The optimizer's batch size.
    most : int
        Maximum number of batches, drawn at random.
    random_state : int
        Seed.
    rule : StepRule, optional
        The optimizer's step; by default plain steps with learning rate one.

    Returns
    -------
    float, float
        Σ uᵀ(H_b + W)u / Σ uᵀ(g_b + Wθ) for the steps u of single batches, and its standard error over the drawn
        batches, 0 if all were drawn.
    """
    theta = check_array("theta", theta, (objective.size,)).astype(np.float64)
    pieces = pieces_of(objective, check_count("batch_size", batch_size))
    rng = np.random.default_rng(random_state)
    chosen = rng.choice(len(pieces), min(check_count("most", most), len(pieces)), replace=False)
    scale, decay = (1.0, 0.0) if rule is None else (rule.scale, rule.decay)
    Hv, squared = np.zeros((2, len(chosen)))
    for row, i in enumerate(np.sort(chosen)):
        g = pieces[i].gradient(theta) + decay * theta
        u = scale * g
        Hv[row] = u @ pieces[i].hvp(theta, u) + u @ (decay * u)
        squared[row] = u @ g
    if not squared.sum() > 0:
        return float("nan"), float("nan")
    found = float(Hv.sum() / squared.sum())
    n, left = len(chosen), 1 - len(chosen) / len(pieces)
    if n < 2:
        return found, 0.0 if not left else float("inf")
    spread = float(np.std(Hv - found * squared, ddof=1)) / float(squared.mean())
    return found, spread * (left / n) ** 0.5
