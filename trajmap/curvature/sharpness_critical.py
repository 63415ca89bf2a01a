"""Critical sharpness: curvature along an update from a few values of the loss, without second derivatives."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.data.results.critical_sharpness import CriticalSharpness
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["critical_sharpness", "critical_step"]

Line = Callable[[float], float]


def critical_sharpness(
    objective: Objective,
    theta: Array,
    direction: Array | None = None,
    *,
    start: float | None = None,
    tol: float = 0.02,
    max_values: int = 9,
) -> CriticalSharpness:
    """Find 2/η_c, where η_c is the rate at which a step along an update stops lowering the loss.

    On a quadratic it is uᵀHu/gᵀu for the update −ηu, the curvature along the step. Along the gradient this is gᵀHg/gᵀg,
    at most the top eigenvalue. If the loss is not monotonic along the update, the result is a rate at which it crosses
    its start from below.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    direction : array-like, shape (P,), optional
        u of the step θ − ηu; by default the gradient, which costs one backward pass.
    start : float, optional
        The first rate; by default the one that would lower the loss to zero along the gradient's slope, or a step of a
        hundredth of the length of θ.
    tol : float
        Relative accuracy of η_c at which the search ends.
    max_values : int
        Maximum number of loss values.

    Returns
    -------
    CriticalSharpness
        Value, interval and the number of forward passes.

    Raises
    ------
    InputError
        If the direction is zero or not finite.

    References
    ----------
    D. Kalra et al., A scalable measure of loss landscape curvature for analyzing the training dynamics of LLMs, 2026.

    Examples
    --------
    >>> bowl = Objective.from_function(lambda x: x @ x, size=2, gradient=lambda x: 2 * x)
    >>> found = critical_sharpness(bowl, [3.0, 4.0])
    >>> round(found.value, 6), found.n_values < 10
    (2.0, True)
    """
    theta = check_array("theta", theta, (objective.size,), dtype=np.float64)
    count = check_count("max_values", max_values, low=3)
    check_positive("tol", tol)
    if start is not None:
        check_positive("start", start)
    u = objective.gradient(theta) if direction is None else check_array("direction", direction, (objective.size,))
    u = np.asarray(u, np.float64)
    squared = float(u @ u)
    if not np.isfinite(squared) or squared == 0:
        raise InputError(worded("direction", "a finite direction", f"norm {squared**0.5:g}", "use another point"))
    first = start or (1e-2 * float(np.linalg.norm(theta)) or 1.0) / squared**0.5
    point, along = objective.tensor(theta), objective.tensor(u)
    here = objective.value(point)
    if start is None and direction is None and here > 0:
        first = 2 * here / squared
    resolution = 16 * torch.finfo(objective.like.dtype).eps
    return critical_step(lambda rate: objective.value(point - rate * along), here, first, resolution, tol, count - 1)


def critical_step(
    line: Line, here: float, first: float, resolution: float, tol: float, count: int
) -> CriticalSharpness:
    """Find where a loss along a line returns to its start.

    The quotient (L(η) − L(0))/η is a straight line on a quadratic, so a secant through two rates gives its root.

    Parameters
    ----------
    line : callable
        L(η).
    here : float
        L(0), which is counted as one value.
    first : float
        The first rate.
    resolution : float
        Relative difference of losses that counts as rounding.
    tol : float
        Relative accuracy of the rate.
    count : int
        Maximum number of values, without that at 0.

    Returns
    -------
    CriticalSharpness
        The result.
    """
    search = _Search()
    rate = first
    for done in range(1, count + 1):
        change = line(rate) - here
        lost = np.isfinite(change) and abs(change) <= resolution * abs(here) and search.high == np.inf
        if lost and done < count:
            rate *= 16  # a step too small to change the loss
            continue
        search.see(rate, change / rate)
        if search.bracketed and search.is_near(tol):
            return search.found(done + 1)
        rate = search.next_rate()
    return search.found(count + 1)


@dataclasses.dataclass
class _Search:
    """Rates that lower the loss and rates that raise it, with the change for each unit of the rate."""

    low: float = 0.0
    high: float = np.inf
    points: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def see(self, rate: float, slope: float) -> None:
        self.points.append((rate, slope))
        if slope < 0:
            self.low = max(self.low, rate) if rate < self.high else self.low
        else:  # NaN and inf count as a higher loss
            self.high = min(self.high, rate)
            self.low = max((r for r, s in self.points if s < 0 and r < self.high), default=0.0)

    @property
    def bracketed(self) -> bool:
        return self.low > 0 and np.isfinite(self.high)

    def root(self) -> float:
        """Root of the line through the two finite points next to the root; NaN if there are not two."""
        known = [(r, s) for r, s in self.points if np.isfinite(s)]
        if len(known) < 2:
            return np.nan
        near = sorted(known, key=lambda point: abs(point[1]))[:2]
        (a, f), (b, g) = near
        return a - f * (b - a) / (g - f) if g != f else np.nan

    def is_near(self, tol: float) -> bool:
        """Whether the bracket is short, or two successive secants agree on a rate that was just tried."""
        return self.high <= self.low * (1 + tol) or abs(self.points[-1][0] / self._best() - 1) < tol

    def next_rate(self) -> float:
        root = self.root()
        if self.bracketed:  # a secant that leaves the bracket, or does not move, is useless
            return root if self.low < root < self.high else (self.low * self.high) ** 0.5
        if self.low > 0:
            return float(np.clip(root, 2 * self.low, 16 * self.low)) if np.isfinite(root) else 4 * self.low
        return float(np.clip(root, self.high / 16, self.high / 2)) if np.isfinite(root) else self.high / 4

    def _best(self) -> float:
        """Return the secant's root, or the bracket's middle if the root is outside."""
        root = self.root()
        inside = self.low * (1 - 1e-6) <= root <= self.high * (1 + 1e-6)
        return float(np.clip(root, self.low, self.high)) if inside else (self.low * self.high) ** 0.5

    def found(self, n_values: int) -> CriticalSharpness:
        low = 2 / self.high
        high = 2 / self.low if self.low > 0 else np.inf
        if not self.bracketed:
            return CriticalSharpness(np.nan, low, high, n_values)
        return CriticalSharpness(2 / self._best(), low, high, n_values)
