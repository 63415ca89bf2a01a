"""Paths between two points: the segment, and curves trained to keep the loss low."""

from abc import ABC, abstractmethod

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, check_positive
from trajmap.data.progress import Progress, counted
from trajmap.objective.objective import Objective

__all__ = [
    "BezierPath",
    "ParameterPath",
    "PolygonalPath",
    "SegmentPath",
    "TrainablePath",
    "path_length",
    "path_losses",
    "train_path",
]


class ParameterPath(ABC):
    """A way from a to b through parameter space, for positions t in [0, 1].

    Parameters
    ----------
    a, b : array-like, shape (P,)
        The ends.
    """

    name: str

    def __init__(self, a: Array, b: Array) -> None:
        self.a = check_array("a", a, (None,), dtype=np.float64)
        self.b = check_array("b", b, self.a.shape, dtype=np.float64)

    def points(self, t: Array) -> Array:
        """Points at positions, shape (n, P)."""
        return self._points(np.asarray(t, dtype=np.float64)[:, None])

    @abstractmethod
    def _points(self, t: Array) -> Array:
        """Points at positions of shape (n, 1)."""


class SegmentPath(ParameterPath):
    """The straight path from a to b.

    Parameters
    ----------
    a, b : array-like, shape (P,)
        The ends.

    Examples
    --------
    >>> SegmentPath([0.0, 0.0], [2.0, 4.0]).points([0.25]).tolist()
    [[0.5, 1.0]]
    """

    name = "segment"

    def _points(self, t: Array) -> Array:
        return (1 - t) * self.a + t * self.b


class TrainablePath(ParameterPath):
    """A path with one control point θ, which `train_path` moves.

    Parameters
    ----------
    a, b : array-like, shape (P,)
        The ends.
    middle : array-like, shape (P,), optional
        θ; half-way by default.
    """

    def __init__(self, a: Array, b: Array, middle: Array | None = None) -> None:
        super().__init__(a, b)
        half = 0.5 * (self.a + self.b)
        self.middle = half if middle is None else check_array("middle", middle, self.a.shape, dtype=np.float64)

    @abstractmethod
    def weight(self, t: Array) -> Array:
        """Differentiate the point at a position with respect to θ."""


class BezierPath(TrainablePath):
    """Quadratic Bézier curve (1 − t)² a + 2 t (1 − t) θ + t² b.

    Parameters
    ----------
    a, b : array-like, shape (P,)
        The ends.
    middle : array-like, shape (P,), optional
        θ, the control point; by default the midpoint, which gives the segment.

    References
    ----------
    T. Garipov et al., Loss surfaces, mode connectivity, and fast ensembling of DNNs, 2018.

    Examples
    --------
    >>> BezierPath([0.0], [0.0], [2.0]).points([0.5]).tolist()
    [[1.0]]
    """

    name = "Bézier curve"

    def _points(self, t: Array) -> Array:
        return (1 - t) ** 2 * self.a + self.weight(t) * self.middle + t**2 * self.b

    def weight(self, t: Array) -> Array:
        """Differentiate the point at a position with respect to θ."""
        return 2 * t * (1 - t)


class PolygonalPath(TrainablePath):
    """Two segments, from a to θ and from θ to b.

    Parameters
    ----------
    a, b : array-like, shape (P,)
        The ends.
    middle : array-like, shape (P,), optional
        θ, the corner; half-way by default, which is the segment.

    Examples
    --------
    >>> PolygonalPath([0.0], [4.0], [1.0]).points([0.25, 0.75]).tolist()
    [[0.5], [2.5]]
    """

    name = "polygonal chain"

    def _points(self, t: Array) -> Array:
        left, right = np.maximum(1 - 2 * t, 0), np.maximum(2 * t - 1, 0)
        return left * self.a + self.weight(t) * self.middle + right * self.b

    def weight(self, t: Array) -> Array:
        """Differentiate the point at a position with respect to θ."""
        return 1 - np.abs(2 * t - 1)


def path_losses(objective: Objective, path: ParameterPath, t: Array) -> Array:
    """Evaluate the loss at positions of a path.

    Parameters
    ----------
    objective : Objective
        The loss.
    path : ParameterPath
        The segment or curve.
    t : numpy.ndarray, shape (n,)
        Positions in [0, 1].

    Returns
    -------
    numpy.ndarray, shape (n,)
        Losses; NaN and inf are kept.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> well = Objective(model, lambda m, x: ((m(x) ** 2 - 1) ** 2).mean(), [torch.ones(1, 1)])
    >>> path_losses(well, SegmentPath([-1.0], [1.0]), np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 1.0, 0.0]
    """
    return np.array([objective.value(path.points(np.array([s]))[0]) for s in t])


def path_length(path: ParameterPath, *, n_points: int = 129) -> float:
    """Length of a path in parameter space, from a chain of n points."""
    before, total = path.points(np.zeros(1))[0], 0.0
    for s in np.linspace(0, 1, n_points)[1:]:
        after = path.points(np.array([s]))[0]
        total += float(np.linalg.norm(after - before))
        before = after
    return total


def train_path(
    objective: Objective,
    path: TrainablePath,
    *,
    n_steps: int = 300,
    lr: float | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> TrainablePath:
    """Train the middle of a curve to minimise the mean loss along it: E over uniform t of L(φ(t)).

    Parameters
    ----------
    objective : Objective
        The loss.
    path : TrainablePath
        Initial curve, whose class is kept.
    n_steps : int
        Steps of Adam, each at one random position in each third of the curve.
    lr : float, optional
        Learning rate of Adam, with cosine decay; by default a hundredth of the ends' root mean square distance per
        parameter, and at least 1e-3.
    random_state : int
        Seed of the positions.
    progress : callable, optional
        Called with the steps done and their number.

    Returns
    -------
    TrainablePath
        The trained curve, with the same ends.

    References
    ----------
    T. Garipov et al., Loss surfaces, mode connectivity, and fast ensembling of DNNs, 2018.
    """
    rng = np.random.default_rng(random_state)
    n_steps = check_count("n_steps", n_steps)
    distance = np.linalg.norm(path.b - path.a) / np.sqrt(len(path.a))
    rate = max(0.05 * distance, 1e-3) if lr is None else check_positive("lr", lr)
    middle = torch.from_numpy(path.middle.copy())
    optimizer = torch.optim.Adam([middle], lr=rate, eps=1e-12)
    for step in counted(range(1, n_steps + 1), progress):
        current = type(path)(path.a, path.b, middle.numpy())
        gradient = np.zeros_like(path.middle)
        for t in ((rng.uniform(size=3) + np.arange(3)) / 3)[:, None]:
            gradient += current.weight(t) * objective.gradient(current.points(t)[0]) / 3
        middle.grad = torch.from_numpy(gradient)
        optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + np.cos(np.pi * step / n_steps))
        optimizer.step()
    return type(path)(path.a, path.b, middle.numpy())
