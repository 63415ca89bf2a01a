"""Directions and planes on which the loss has a chosen shape: a saddle, the bottom of a wine bottle."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, check_positive
from trajmap.data.plane import Plane
from trajmap.data.progress import Progress, counted
from trajmap.data.results.mined_direction import MinedDirection
from trajmap.objective.differentiable import loss_at
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.objective import Objective
from trajmap.objective.operator import as_tensor
from trajmap.objective.pieces import pieces_of

__all__ = ["Shape", "mine_direction", "mine_ring", "mine_saddle", "v_side", "vvv_basin", "w_basin", "w_peak"]

Losses = dict[float, torch.Tensor]
Target = Callable[[Losses, torch.Tensor], torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Shape:
    """A shape to mine: offsets at which the loss is evaluated, and the minimised function of these losses.

    Parameters
    ----------
    offsets : tuple of float
        Offsets in units of the direction's length.
    target : callable
        Maps the losses at the offsets, and the loss of the model, to the minimised value.
    """

    offsets: tuple[float, ...]
    target: Target


def _high(loss: torch.Tensor, here: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """Reward a loss for being high, up to a margin above the model's."""
    return torch.minimum(loss, here + margin)


w_peak = Shape((-1.0, 1.0), lambda f, here: f[-1.0] + f[1.0])
v_side = Shape((-1.0, 1.0), lambda f, here: f[1.0] - torch.minimum(f[-1.0], here + 1.0))
w_basin = Shape((0.5, 1.0), lambda f, here: f[1.0] - _high(f[0.5], here))
vvv_basin = Shape((-1.0, -0.5, 0.5, 1.0), lambda f, here: f[-1.0] + f[1.0] - _high(f[-0.5], here) - _high(f[0.5], here))


def mine_direction(
    objective: Objective,
    theta: Array,
    shape: Shape,
    *,
    radius: float | None = None,
    n_steps: int = 600,
    lr: float = 0.05,
    orthogonal_to: Sequence[Array] = (),
    batch_size: int | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> MinedDirection:
    """Find a direction along which the loss has a shape: `w_peak`, `w_basin`, `vvv_basin` or `v_side`.

    Random directions of a trained network always show a v-basin, because they show the mean curvature. Other shapes
    also exist. They are found by Adam from a random start: over directions of fixed length it minimises the losses at
    the low points of the shape minus those at the high points. This reconstructs the paper's mining, whose losses are
    not public.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The model.
    shape : Shape
        One of the shapes of this module.
    radius : float, optional
        Length of the direction; ‖θ‖ by default.
    n_steps : int
        Steps of Adam.
    lr : float
        Learning rate of Adam.
    orthogonal_to : sequence of array-like
        Directions to stay orthogonal to.
    batch_size : int, optional
        Samples per step, a random piece of the data; all by default.
    random_state : int
        Seed of the start and of the pieces.
    progress : callable, optional
        Called with the steps done and their number.

    Returns
    -------
    MinedDirection
        Check its class with ``classify_line``, because mining may fail.

    References
    ----------
    X.-C. Li, L. Li, D.-C. Zhan, Visualizing, rethinking, and mining the loss landscape of deep neural networks, 2024.
    """
    theta = check_array("theta", theta, (objective.size,))
    length = float(np.linalg.norm(theta)) if radius is None else check_positive("radius", radius)
    point = objective.tensor(theta)
    basis = _basis(objective, orthogonal_to)
    here = torch.tensor(objective.value(theta))

    pieces = [objective] if batch_size is None else pieces_of(objective, check_count("batch_size", batch_size))
    turns = np.random.default_rng(random_state)

    def target(u: torch.Tensor) -> torch.Tensor:
        # the last piece of a batch may be smaller and have too much weight; this is harmless for a direction
        piece = pieces[int(turns.integers(len(pieces)))]
        direction = _scaled(u, basis, length)
        losses = {offset: loss_at(piece, point + offset * direction) for offset in shape.offsets}
        return shape.target(losses, here)

    u = _descend(objective, target, 1, n_steps, lr, random_state, progress=progress)[0]
    vector = _scaled(u, basis, length).numpy().astype(np.float64)
    offsets = np.linspace(-1.5, 1.5, 61)
    return MinedDirection(vector, offsets, objective.values(theta + offsets[:, None] * vector))


def _basis(objective: Objective, rows: Sequence[Array]) -> torch.Tensor:
    if not len(rows):
        return torch.zeros((0, objective.size), dtype=objective.like.dtype, device=objective.like.device)
    stacked = np.stack([check_array("orthogonal_to", row, (objective.size,), dtype=np.float64) for row in rows])
    return as_tensor(np.linalg.qr(stacked.T)[0].T, objective.like)


def _scaled(u: torch.Tensor, basis: torch.Tensor, length: float) -> torch.Tensor:
    free = u - (u @ basis.T) @ basis
    return length * free / free.norm()


def _descend(
    objective: Objective,
    target: Callable[[torch.Tensor], torch.Tensor],
    rows: int,
    n_steps: int,
    lr: float,
    random_state: int,
    *,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Minimise over `rows` directions by Adam, from Gaussian ones."""
    start = np.random.default_rng(random_state).standard_normal((rows, objective.size))
    u = as_tensor(start, objective.like).requires_grad_()
    optimizer = torch.optim.Adam([u], lr=check_positive("lr", lr))
    with isolated_rng(), torch.enable_grad():
        for _ in counted(range(check_count("n_steps", n_steps)), progress):
            optimizer.zero_grad()
            target(u if rows > 1 else u[0]).backward()
            optimizer.step()
    return u.detach()


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

    u = _descend(objective, target, 2, n_steps, lr, random_state, progress=progress)
    return Plane(theta, frame(u).numpy().astype(np.float64), "mined ring")
