"""Hessian products by differences of gradients, for losses that cannot be differentiated twice."""

from collections.abc import Callable

import torch

from trajmap.objective.operator import Operator

__all__ = ["DifferenceHessian"]

Gradient = Callable[[torch.Tensor], torch.Tensor]

_LADDER = 6  # steps tried, each a quarter of the previous one


class DifferenceHessian(Operator):
    """v ↦ (g(θ + tv) − g(θ − tv)) / 2t for unit v, with two gradients per vector.

    The error has two parts, the gradient's rounding divided by t and the third derivative times t²; both are small only
    in about one decade of t. The step is chosen at the first vector, from a sequence in which each step is a quarter of
    the previous one: the step whose product differs least from the next one's. This relative difference is `error`.

    Parameters
    ----------
    gradient : callable
        ``gradient(point) -> gradient``, tensors of shape (P,).
    point : torch.Tensor, shape (P,)
        θ.

    Attributes
    ----------
    error : float
        Relative error of a product, estimated at the first vector; NaN before it, and if the gradient is not finite.
    step : float
        t, in parameter distance; 0 before the first vector.

    References
    ----------
    B. Pearlmutter, Fast exact multiplication by the Hessian, 1994 (on the loss of digits in differences).

    Examples
    --------
    >>> bowl = DifferenceHessian(lambda x: 3 * x, torch.ones(2, dtype=torch.float64))
    >>> bowl.multiply(torch.tensor([1.0, 2.0], dtype=torch.float64)).round(decimals=6).tolist(), bowl.error < 1e-9
    ([3.0, 6.0], True)
    """

    def __init__(self, gradient: Gradient, point: torch.Tensor) -> None:
        super().__init__(point, len(point))
        self._gradient, self._point = gradient, point
        self.error, self.step = float("nan"), 0.0

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of shape (P,)."""
        norm = float(torch.linalg.vector_norm(vector, dtype=torch.float64))
        if norm == 0:
            return torch.zeros_like(vector)
        unit = vector / norm
        found = self._choose(unit) if not self.step else self._difference(unit, self.step)
        return found.mul_(norm)

    def _difference(self, unit: torch.Tensor, step: float) -> torch.Tensor:
        ahead = self._gradient(self._point + step * unit)
        return ahead.sub_(self._gradient(self._point - step * unit)).div_(2 * step)

    def _choose(self, unit: torch.Tensor) -> torch.Tensor:
        scale = max(float(torch.linalg.vector_norm(self._point, dtype=torch.float64)), 1.0)
        step = 4 * scale * torch.finfo(self.dtype).eps ** (1 / 3)
        best = before = self._difference(unit, step)
        self.step = step
        for _ in range(_LADDER):
            step /= 4
            found = self._difference(unit, step)
            size = float(torch.linalg.vector_norm(found, dtype=torch.float64))
            change = float(torch.linalg.vector_norm(found - before, dtype=torch.float64))
            error = change / size if size > 0 else change
            if not self.error <= error:  # the first, or a better one
                best, self.step, self.error = found, step, error
            before = found
        return best
