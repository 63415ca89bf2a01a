"""Planes on which the loss has a chosen shape: a saddle, or the bottom of a wine bottle."""

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_positive
from trajmap.data.plane import Plane
from trajmap.data.progress import Progress
from trajmap.directions.mining import descend, mine_direction, w_peak
from trajmap.objective.differentiable import loss_at
from trajmap.objective.objective import Objective

__all__ = ["mine_ring", "mine_saddle"]


def mine_saddle(
    objective: Objective,
    theta: Array,
    *,
    radius: float | None = None,
    n_steps: int = 600,
    lr: float = 0.05,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Plane:
    """Find a plane on which the model is a saddle: a w-peak along the first axis, a v-basin along the second.

    The second axis is a Gaussian direction orthogonal to the first: along random directions the loss of a trained
    network curves upwards.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The model, the plane's origin.
    radius : float, optional
        Length of both axes; ‖θ‖ by default.
    n_steps : int
        Steps of Adam.
    lr : float
        Learning rate of Adam.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the steps done and their number.

    Returns
    -------
    Plane
        Two orthogonal directions as long as the radius. Check them with ``classify_line``, because mining may fail.

    References
    ----------
    X.-C. Li, L. Li, D.-C. Zhan, 2024 (reconstructed).
    """
    theta = check_array("theta", theta, (objective.size,))
    down = mine_direction(
        objective, theta, w_peak, radius=radius, n_steps=n_steps, lr=lr, random_state=random_state, progress=progress
    ).vector
    up = np.random.default_rng(random_state).standard_normal(objective.size)
    up -= (up @ down) / (down @ down) * down
    return Plane(theta, np.stack([down, np.linalg.norm(down) / np.linalg.norm(up) * up]), "mined saddle")


def mine_ring(
    objective: Objective,
    theta: Array,
    *,
    radius: float | None = None,
    n_steps: int = 600,
    lr: float = 0.05,
    n_angles: int = 8,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Plane:
    """Find a plane on which the model is inside a ring of low loss: the bottom of a wine bottle.

    The mean loss at `n_angles` points of a circle, turned by a random angle at every step, is minimised over two
    orthogonal directions.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The model, the plane's origin.
    radius : float, optional
        Radius of the circle; ‖θ‖ by default.
    n_steps : int
        Steps of Adam.
    lr : float
        Learning rate of Adam.
    n_angles : int
        Points per step.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the steps done and their number.

    Returns
    -------
    Plane
        Two orthogonal directions as long as the radius.

    References
    ----------
    X.-C. Li, L. Li, D.-C. Zhan, 2024 (reconstructed).
    """
    theta = check_array("theta", theta, (objective.size,))
    length = float(np.linalg.norm(theta)) if radius is None else check_positive("radius", radius)
    point = objective.tensor(theta)
    turns = np.random.default_rng(random_state)

    def frame(u: torch.Tensor) -> torch.Tensor:
        first = u[0] / u[0].norm()
        second = u[1] - (u[1] @ first) * first
        return length * torch.stack([first, second / second.norm()])

    def target(u: torch.Tensor) -> torch.Tensor:
        axes = frame(u)
        angles = torch.tensor(turns.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(n_angles) / n_angles)
        around = torch.stack([angles.cos(), angles.sin()], dim=1).to(axes) @ axes
        return torch.stack([loss_at(objective, point + move) for move in around]).mean()

    u = descend(objective, target, 2, n_steps, lr, random_state, progress=progress)
    return Plane(theta, frame(u).numpy().astype(np.float64), "mined ring")
