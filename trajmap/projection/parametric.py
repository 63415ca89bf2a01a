"""A chart given by a formula, with exact derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, check_count
from trajmap.errors import InputError

__all__ = ["ParametricChart"]


class ParametricChart:
    """The chart z ↦ f(z) of a differentiable function, such as a family of symmetries or a curve with a known equation.

    Parameters
    ----------
    function : callable
        ``function(z) -> theta`` from a float64 tensor of shape (d,) to one of shape (P,).
    n_components : int
        d.
    inverse : callable, optional
        ``inverse(thetas) -> Z`` on arrays, (n, P) → (n, d), for `transform`.
    name : str
        Name for titles.

    Examples
    --------
    >>> circle = ParametricChart(lambda z: torch.stack([z[0].cos(), z[0].sin()]), 1, name="circle")
    >>> import torch
    >>> circle.inverse_transform([[0.0]]).tolist(), abs(circle.jacobian([0.0])).tolist()
    ([[1.0, 0.0]], [[0.0, 1.0]])
    """

    def __init__(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        n_components: int,
        *,
        inverse: Callable[[Array], Array] | None = None,
        name: str = "formula",
    ) -> None:
        self._function = function
        self.n_components = check_count("n_components", n_components)
        self._inverse = inverse
        self.name = name

    def transform(self, X: Array) -> Array:
        """Coordinates of points, shape (n, d), by `inverse`."""
        if self._inverse is None:
            raise InputError("inverse: expected a function for transform, got none; repair: pass inverse=")
        return np.asarray(self._inverse(np.asarray(X, dtype=np.float64)))

    def inverse_transform(self, X: Array) -> Array:
        """Points at coordinates, (n, d) → (n, P)."""
        Z = check_array("Z", X, (None, self.n_components), dtype=np.float64)
        with torch.no_grad():
            return np.stack([self._function(torch.tensor(z)).numpy() for z in Z])

    def jacobian(self, z: Array) -> Array:
        """First derivatives ∂f/∂zᵢ, shape (d, P), exact."""
        point = self._point(z)
        return np.stack([self._along(point, e).detach().numpy() for e in torch.eye(len(point), dtype=torch.float64)])

    def second(self, z: Array) -> Array:
        """Second derivatives ∂²f/∂zᵢ∂zⱼ, shape (d, d, P), exact."""
        point = self._point(z)
        axes = torch.eye(len(point), dtype=torch.float64)

        def twice(e: torch.Tensor, f: torch.Tensor) -> Array:
            found = _product(lambda p: self._along(p, e), point, f)
            return np.asarray(found.detach().numpy())

        return np.stack([np.stack([twice(e, f) for f in axes]) for e in axes])

    def _point(self, z: Array) -> torch.Tensor:
        return torch.tensor(check_array("z", z, (self.n_components,), dtype=np.float64))

    def _along(self, point: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        return _product(self._function, point, direction)


def _product(
    function: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, direction: torch.Tensor
) -> torch.Tensor:
    """Jacobian times a direction by two backward passes, independent of P."""
    jvp: Any = torch.autograd.functional.jvp
    return jvp(function, point, direction, create_graph=True)[1]
