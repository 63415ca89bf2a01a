"""A plain function of an array as a torch model, with its gradient given or by differences."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.errors import InputError

__all__ = ["FunctionModel", "Given", "call", "function_model"]

_EPS = float(np.finfo(np.float64).eps)


@dataclasses.dataclass(frozen=True)
class Given:
    """The user's functions; copies of a model share them, because they may hold objects that cannot be copied.

    Parameters
    ----------
    f : callable
        ``f(theta) -> number``.
    gradient : callable or None
        ``gradient(theta) -> (P,)``.
    hessian_product : callable or None
        ``hessian_product(theta, v) -> (P,)``.
    """

    f: Callable[[Array], Any]
    gradient: Callable[[Array], Any] | None
    hessian_product: Callable[[Array, Array], Any] | None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Given":
        return self

    def value(self, theta: Array) -> float:
        """Call f on a private copy of the array."""
        found = self.f(theta.copy())
        try:
            array = np.asarray(found, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(worded("f", "a function that returns a number", found)) from error
        if array.size != 1:
            raise InputError(worded("f", "a function that returns a number", array))
        return float(array.reshape(()))

    def slope(self, theta: Array) -> Array:
        """Gradient: the given one, or central differences with two calls of f per parameter."""
        if self.gradient is not None:
            return check_array("gradient", self.gradient(theta.copy()), theta.shape, dtype=np.float64)
        found = np.empty_like(theta)
        for i, entry in enumerate(theta):
            ahead, behind = theta.copy(), theta.copy()
            step = _EPS ** (1 / 3) * max(1.0, abs(entry))
            ahead[i] += step
            behind[i] -= step
            found[i] = (self.value(ahead) - self.value(behind)) / (ahead[i] - behind[i])
        return found

    def product(self, theta: Array, v: Array) -> Array:
        """Hessian product: the given one, or central differences of the gradient."""
        if self.hessian_product is not None:
            found = self.hessian_product(theta.copy(), v.copy())
            return check_array("hessian_product", found, theta.shape, dtype=np.float64)
        length = float(np.linalg.norm(v))
        if not length:
            return np.zeros_like(v)
        # differences of differences are less accurate
        relative = _EPS ** (1 / 3) if self.gradient is not None else _EPS ** (1 / 5)
        step = relative * max(1.0, float(np.linalg.norm(theta))) / length
        return (self.slope(theta + step * v) - self.slope(theta - step * v)) / (2 * step)


class FunctionModel(torch.nn.Module):
    """A function of θ as a module with one parameter, ``theta``, in float64.

    Parameters
    ----------
    given : Given
        The function.
    theta : array-like, shape (P,)
        The initial point.
    """

    def __init__(self, given: Given, theta: Array) -> None:
        super().__init__()
        self.given = given
        self.theta = torch.nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        """Value at the present parameter."""
        return _Value.apply(self.theta, self.given)


def call(model: Any, batch: Any) -> torch.Tensor:
    """Loss of a `FunctionModel`; it has no data."""
    return model()


def function_model(
    f: Callable[[Array], Any],
    size: int,
    gradient: Callable[[Array], Any] | None,
    hessian_product: Callable[[Array, Array], Any] | None,
    theta: Array | None,
) -> FunctionModel:
    """Check the user's functions and make a module of them."""
    for name, value in {"f": f, "gradient": gradient, "hessian_product": hessian_product}.items():
        if not callable(value) and (value is not None or name == "f"):
            raise InputError(worded(name, "a function", value))
    size = check_count("size", size)
    start = np.zeros(size) if theta is None else check_array("theta", theta, (size,), dtype=np.float64)
    return FunctionModel(Given(f, gradient, hessian_product), start)


def _array(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().double().numpy().copy()


def _rows(info: Any, dims: Any, tensors: tuple[torch.Tensor, ...]) -> list[tuple[Array, ...]]:
    """Arguments of each call under vmap."""
    moved = [t if d is None else t.movedim(d, 0) for t, d in zip(tensors, dims, strict=False)]
    return [
        tuple(_array(t if d is None else t[i]) for t, d in zip(moved, dims, strict=False))
        for i in range(info.batch_size)
    ]


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(theta: torch.Tensor, given: Given) -> torch.Tensor:
        return theta.new_tensor(given.value(_array(theta)))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.given = inputs[1]

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> Any:
        return slope * _Gradient.apply(ctx.saved_tensors[0], ctx.given), None

    @staticmethod
    def vmap(info: Any, dims: Any, theta: torch.Tensor, given: Given) -> Any:
        return theta.new_tensor([given.value(*row) for row in _rows(info, dims, (theta,))]), 0


class _Gradient(torch.autograd.Function):
    @staticmethod
    def forward(theta: torch.Tensor, given: Given) -> torch.Tensor:
        return theta.new_tensor(given.slope(_array(theta)))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.given = inputs[1]

    @staticmethod
    def backward(ctx: Any, vector: torch.Tensor) -> Any:
        return _Product.apply(ctx.saved_tensors[0], vector, ctx.given), None

    @staticmethod
    def vmap(info: Any, dims: Any, theta: torch.Tensor, given: Given) -> Any:
        return theta.new_tensor(np.stack([given.slope(*row) for row in _rows(info, dims, (theta,))])), 0


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(theta: torch.Tensor, vector: torch.Tensor, given: Given) -> torch.Tensor:
        return theta.new_tensor(given.product(_array(theta), _array(vector)))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, _: torch.Tensor) -> Any:
        repair = "use orders up to 2, or write the loss in torch"
        raise InputError(worded("objective", "two derivatives of a function", "a third", repair))

    @staticmethod
    def vmap(info: Any, dims: Any, theta: torch.Tensor, vector: torch.Tensor, given: Given) -> Any:
        rows = _rows(info, dims, (theta, vector))
        return theta.new_tensor(np.stack([given.product(*row) for row in rows])), 0
