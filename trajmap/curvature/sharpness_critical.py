"""Critical sharpness: curvature along an update from a few values of the loss, without derivatives of second order."""

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
    """Find 2/η_c, with η_c the rate at which a step along an update stops lowering the loss.

    On a quadratic it is uᵀHu/gᵀu for the update −ηu, the curvature that the step meets: never above the top eigenvalue
    along the gradient, where it is gᵀHg/gᵀg. Where the loss goes up and down along the update, the rate that is found
    is one at which it goes from lower to higher.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    direction : array-like, shape (P,), optional
        u, of the step θ − ηu; the gradient by default, at the price of one backward pass.
    start : float, optional
        The rate that is tried first; by default the one that would lower the loss to zero at the slope of the
        gradient, or a step of a hundredth of the length of θ.
    tol : float
        Relative accuracy of η_c at which the search ends.
    max_values : int
        Values of the loss at most.

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
        raise InputError(worded("direction", "a finite direction", f"norm {squared**0.5:g}", "name another point"))
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
    """Find where a loss along a line is back at its start.

    The quotient (L(η) − L(0))/η is a straight line on a quadratic, so a secant through two rates hits its root.

    Parameters
    ----------
    line : callable
        L(η).
    here : float
        L(0), which is counted as one value.
    first : float
        The rate that is tried first.
    resolution : float
        Relative difference of losses that is not told from rounding.
    tol : float
        Relative accuracy of the rate.
    count : int
        Values at most, besides that at 0.

    Returns
    -------
    CriticalSharpness
        What was found.
    """
    search = _Search()
    rate = first
    for done in range(1, count + 1):
        change = line(rate) - here
        lost = np.isfinite(change) and abs(change) <= resolution * abs(here) and search.high == np.inf
        if lost and done < count:
            rate *= 16  # too small a step to be seen
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
        else:  # NaN and inf are as bad as a higher loss
            self.high = min(self.high, rate)
            self.low = max((r for r, s in self.points if s < 0 and r < self.high), default=0.0)

    @property
    def bracketed(self) -> bool:
        return self.low > 0 and np.isfinite(self.high)

    def root(self) -> float:
        """Where the line through the two finite points next to the root is zero; NaN if there are no two."""
        known = [(r, s) for r, s in self.points if np.isfinite(s)]
        if len(known) < 2:
            return np.nan
        near = sorted(known, key=lambda point: abs(point[1]))[:2]
        (a, f), (b, g) = near
        return a - f * (b - a) / (g - f) if g != f else np.nan

    def is_near(self, tol: float) -> bool:
        """Whether the bracket is short, or two secants in a row say the same of a rate that was just tried."""
        return self.high <= self.low * (1 + tol) or abs(self.points[-1][0] / self._best() - 1) < tol

    def next_rate(self) -> float:
        root = self.root()
        if self.bracketed:  # a secant that leaves the bracket, or stands still, is no help
            return root if self.low < root < self.high else (self.low * self.high) ** 0.5
        if self.low > 0:
            return float(np.clip(root, 2 * self.low, 16 * self.low)) if np.isfinite(root) else 4 * self.low
        return float(np.clip(root, self.high / 16, self.high / 2)) if np.isfinite(root) else self.high / 4

    def _best(self) -> float:
        """Give the secant's root, or the bracket's middle where the bracket does not hold it."""
        root = self.root()
        inside = self.low * (1 - 1e-6) <= root <= self.high * (1 + 1e-6)
        return float(np.clip(root, self.low, self.high)) if inside else (self.low * self.high) ** 0.5

    def found(self, n_values: int) -> CriticalSharpness:
        low = 2 / self.high
        high = 2 / self.low if self.low > 0 else np.inf
        if not self.bracketed:
            return CriticalSharpness(np.nan, low, high, n_values)
        return CriticalSharpness(2 / self._best(), low, high, n_values)
