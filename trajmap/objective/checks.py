"""Check a loss: whether it needs a graph, is a scalar, and is a function of θ."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import torch

from trajmap._validation import worded
from trajmap.errors import InputError, NondeterministicError
from trajmap.objective.twin import Twin

__all__ = ["moving_gradients", "probe", "probe_derivative"]


def probe(twin: Twin, first_batch: Callable[[bool], float], eps: float, *, check: bool) -> bool:
    """Evaluate a loss once or twice.

    Parameters
    ----------
    twin : Twin
        The private copy; its parameters always require gradients if the loss differentiates with respect to them.
    first_batch : callable
        ``first_batch(with_graph) -> float``: the loss on the first batch.
    eps : float
        Rounding of the number format.
    check : bool
        Evaluate it twice and compare.

    Returns
    -------
    bool
        Whether it needs a graph, for example a physics-informed loss with derivatives through the model.

    Raises
    ------
    NondeterministicError
        If it gives two values.
    RuntimeError
        Any error of the loss itself.
    """
    graph, first = _first(twin, first_batch)
    if not check:
        return graph
    second = first_batch(graph)
    # 1e3 units of rounding: reductions on several threads or a GPU may differ by a few
    if not np.isclose(first, second, rtol=1e3 * eps, atol=0, equal_nan=True):
        raise NondeterministicError(
            f"loss: expected one value at one point, got {first!r} and then {second!r}; "
            "repair: switch off dropout, sampling and augmentation inside the loss"
        )
    return graph


def _first(twin: Twin, first_batch: Callable[[bool], float]) -> tuple[bool, float]:
    """Determine the loss's value, whether it needs a graph, and whether that graph begins at the parameters."""
    graph = False
    for graph in (False, True):
        try:
            return graph, first_batch(graph)
        except RuntimeError as error:
            if ("require grad" if graph else "grad") not in str(error):
                raise
    twin.follow()
    return graph, first_batch(graph)


FirstLoss = Callable[[bool], torch.Tensor]

_MOVE = 1e-2  # relative to each tensor's size; leaves points where a block is zero by construction (LoRA)


def probe_derivative(twin: Twin, first_loss: FirstLoss, *, needs_graph: bool) -> None:
    """Move θ a little, and check that the loss changes, and that the change agrees with its gradient.

    The check is silent if rounding or kinks hide the answer: a disagreement counts only if difference quotients of two
    lengths agree with each other in each of two directions. Afterwards the twin is at its original point.

    Parameters
    ----------
    twin : Twin
        The private copy.
    first_loss : callable
        ``first_loss(with_graph)`` gives the loss of the first batch at the twin's point.
    needs_graph : bool
        Whether the loss needs a graph for its value.

    Raises
    ------
    InputError
        If the loss does not depend on the parameters.
    """
    start = twin.flat.clone()
    try:
        _Derivative(twin, start, lambda: float(first_loss(needs_graph).detach()), first_loss).check()
    finally:
        twin.visit(lambda flat: flat.copy_(start))


class _Derivative:
    def __init__(self, twin: Twin, start: torch.Tensor, value: Callable[[], float], first_loss: FirstLoss) -> None:
        self._twin, self._start, self._value, self._first_loss = twin, start, value, first_loss
        formats = [leaf.dtype for leaf in twin.leaves]
        self._reached = False
        self._eps = max(torch.finfo(dtype).eps for dtype in formats)

    def check(self) -> None:
        direction = self._direction(0)
        point = self._start + _MOVE * direction
        here, value = self._at(self._start), self._at(point)
        if not math.isfinite(here) or not math.isfinite(value):
            return
        still = here == value and all(self._at(self._start + step * direction) == here for step in (1.0, -1.0))
        try:
            found, gradient = self._slope(point)
        except RuntimeError:  # then the verbs that need gradients report it
            return
        if still:
            self._refuse_still(here, gradient, direction)
            return
        if gradient is None or self._eps > 1e-4 or not math.isfinite(found):
            return
        if abs(found - value) > max(1e-3, 1e4 * self._eps) * abs(value):
            self._warn("one value with and without gradients", f"{found:.6g} and {value:.6g}")
            return
        if self._blocks_are_sound(point, gradient, direction):
            self._check_slope(point, gradient, direction)

    def _at(self, point: torch.Tensor) -> float:
        self._twin.visit(lambda flat: flat.copy_(point))
        return self._value()

    def _direction(self, seed: int) -> torch.Tensor:
        """Noise relative to each tensor's size."""
        generator = torch.Generator(self._start.device).manual_seed(seed)
        found = torch.empty_like(self._start)
        found.normal_(generator=generator)
        whole = float(self._start.double().square().mean().sqrt()) or 1.0
        for part, own in zip(self._twin.pieces(found), self._twin.pieces(self._start), strict=True):
            if own.numel():
                part.mul_(float(own.double().square().mean().sqrt()) or whole)
        return found

    def _refuse_still(self, here: float, gradient: torch.Tensor | None, direction: torch.Tensor) -> None:
        expected, got = (
            "a function of the parameters of the model that is passed to it",
            f"{here:.6g} wherever they are",
        )
        repair = "use the model passed to the loss, not one that is captured in a closure or cached"
        if gradient is None:  # an accuracy may stay constant
            self._warn(expected, got)
            return
        rise = _MOVE * abs(float(gradient.double() @ direction.double()))
        # in half precision a gradient may underflow, and in any precision the rounding of a large loss may hide a
        # change
        if not self._reached or (self._eps < 1e-4 and not 0 < rise < 10 * self._eps * abs(here)):
            raise InputError(worded("loss", expected, got, repair))

    def _slope(self, point: torch.Tensor) -> tuple[float, torch.Tensor | None]:
        twin = self._twin
        twin.visit(lambda flat: flat.copy_(point))
        with twin.differentiable():
            loss = self._first_loss(True)  # ruff: ignore[boolean-positional-value-in-call]
            if not loss.requires_grad:
                return float(loss), None
            loss.backward()
            self._reached = any(leaf.grad is not None for leaf in twin.leaves)
            return float(loss.detach()), twin.gathered()

    def _blocks_are_sound(self, point: torch.Tensor, gradient: torch.Tensor, direction: torch.Tensor) -> bool:
        pieces = zip(self._twin.names, self._twin.pieces(gradient), strict=True)
        still = [name for name, part in pieces if part.numel() and not part.any()]
        if not still:
            return True
        along = direction.clone()
        for name, part in zip(self._twin.names, self._twin.pieces(along), strict=True):
            if name not in still:
                part.zero_()
        if self._quotient(point, along) is None:
            return True
        some = ", ".join(still[:5]) + (" …" if len(still) > 5 else "")
        self._warn(f"a gradient where the loss changes with {some}", "zero")
        return False

    def _check_slope(self, point: torch.Tensor, gradient: torch.Tensor, direction: torch.Tensor) -> None:
        found: list[tuple[float, float]] = []
        for seed in (0, 1):
            along = direction if seed == 0 else self._direction(seed)
            expected = float(gradient.double() @ along.double())
            step = self._step
            first = (self._at(point + step * along) - self._at(point - step * along)) / (2 * step)
            if not abs(first - expected) > 0.1 * max(abs(first), abs(expected)):
                return
            quotient = self._quotient(point, along, first)
            if quotient is None or not abs(quotient - expected) > 0.1 * max(abs(quotient), abs(expected)):
                return
            found.append((quotient, expected))
        quotient, expected = found[0]
        self._warn(
            "a gradient equal to the slope of the loss", f"{expected:.4g} where the values rise by {quotient:.4g}"
        )

    @property
    def _step(self) -> float:
        return 10 * self._eps ** (1 / 3) if self._eps < 1e-10 else 1e-2

    def _quotient(self, point: torch.Tensor, along: torch.Tensor, first: float | None = None) -> float | None:
        """Slope by difference quotients; None if those of three lengths do not agree on a nonzero slope."""
        step, found = self._step, [] if first is None else [first]
        for length in (step, step / 2, step / 4)[len(found) :]:
            rise = self._at(point + length * along) - self._at(point - length * along)
            found.append(rise / (2 * length))
        low, high = min(found), max(found)
        size = max(abs(low), abs(high))
        return found[-1] if math.isfinite(size) and size > 0 and high - low < 0.05 * size else None

    def _warn(self, expected: str, got: str) -> None:
        cause = "a stop-gradient, a weight cached or merged in eval(), a copy of the model captured by the loss"
        warnings.warn(worded("loss", expected, got, f"look for {cause}, or pass check=False"), stacklevel=6)


def moving_gradients(
    gradient: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, constant: list[int], sizes: list[int]
) -> list[int]:
    """Find gradients that change smoothly with θ although autograd finds no dependence on θ.

    Functions with a hand-written backward pass may hide this dependence, and their second derivatives would silently be
    zero. A step and a half step along one random direction distinguish such a gradient from one that jumps at a kink.

    Parameters
    ----------
    gradient : callable
        ``gradient(point) -> gradient``, tensors of shape (P,).
    point : torch.Tensor, shape (P,)
        θ.
    constant : list of int
        The parameters to check; nothing is computed if there are none.
    sizes : list of int
        Of all parameters.

    Returns
    -------
    list of int
        Those whose gradients change.
    """
    if not constant:
        return []
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(point.shape, generator=generator).to(point)
    eps = torch.finfo(point.dtype).eps
    step = eps ** (1 / 3) * max(float(point.norm()), 1.0) / float(direction.norm())
    here = gradient(point)
    whole, half = (gradient(point + h * direction) - here for h in (step, step / 2))
    found = []
    for i in constant:
        g, a, b = (torch.split(vector, sizes)[i].double() for vector in (here, whole, half))
        smooth = float((a - 2 * b).norm()) < 0.2 * float(a.norm())
        if smooth and float(a.norm()) > 1e3 * eps * float(g.norm()):
            found.append(i)
    return found
