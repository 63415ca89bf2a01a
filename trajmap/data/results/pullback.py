"""The loss on a chart to second order at one point, and what the chart does not see."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["Pullback"]


@dataclasses.dataclass(frozen=True, eq=False)
class Pullback(Saved, rows=("d",)):
    """L∘D at z: gradient and Hessian in coordinates, the metric, and the part of the gradient off the chart.

    Parameters
    ----------
    z : numpy.ndarray, shape (d,)
        Coordinates.
    value : float
        L(D(z)).
    gradient : numpy.ndarray, shape (d,)
        ∂(L∘D)/∂zᵢ.
    hessian : numpy.ndarray, shape (d, d)
        ∂²(L∘D)/∂zᵢ∂zⱼ; it depends on the coordinates wherever the gradient is not zero.
    covariant : numpy.ndarray, shape (d, d)
        The Hessian of the loss restricted to the manifold: it does not depend on the coordinates.
    metric : numpy.ndarray, shape (d, d)
        G = JJᵀ, with J the lift's Jacobian by rows.
    gradient_norm, normal_gradient : float
        Norm of ∇L in R^P, and of its part orthogonal to the manifold.
    """

    z: Annotated[Array, Shape("d")]
    value: float
    gradient: Annotated[Array, Shape("d")]
    hessian: Annotated[Array, Shape("d", "d")]
    covariant: Annotated[Array, Shape("d", "d")]
    metric: Annotated[Array, Shape("d", "d")]
    gradient_norm: float
    normal_gradient: float

    @property
    def curvatures(self) -> Array:
        """Second derivatives along the manifold's own principal directions, a unit of parameter distance, (d,)."""
        from scipy.linalg import eigh

        return eigh(self.covariant, self.metric, eigvals_only=True)

    @property
    def area(self) -> float:
        """√det G: parameter volume of a unit of coordinates."""
        return float(np.sqrt(max(np.linalg.det(self.metric), 0.0)))

    @property
    def rank_ratio(self) -> float:
        """σ_d/σ₁ of the Jacobian in [0, 1]: near 0 the chart moves in fewer than d directions here."""
        values = np.linalg.eigvalsh(self.metric)
        return float(np.sqrt(max(values[0], 0.0) / values[-1])) if values[-1] > 0 else float("nan")

    @property
    def tangent_share(self) -> float:
        """Share of the squared gradient that lies in the tangent, in [0, 1]; NaN where the gradient is zero."""
        if self.gradient_norm == 0:
            return float("nan")
        return float(1 - (self.normal_gradient / self.gradient_norm) ** 2)
