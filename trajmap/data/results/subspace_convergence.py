"""How much one more sample changes the loss over a cloud in the Hessian's top subspace."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array, check_positive
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["SubspaceConvergence"]


@dataclasses.dataclass(frozen=True, eq=False)
class SubspaceConvergence(Saved, rows=("m",)):
    """Mean squared change Δ_k = E (L_{k+1} − L_k)² over a Gaussian cloud around a point, in a random order of samples.

    On average over all orders Δ_k = V/(k(k + 1)) exactly, where V is the variance of the samples' losses, averaged
    over the cloud: the decay does not depend on the network, V does.

    Parameters
    ----------
    sizes : numpy.ndarray of int, shape (m,)
        Numbers of samples k.
    measured : numpy.ndarray, shape (m,)
        Mean over some orders and over the points of the cloud.
    variance : float
        V.
    quadratic : float
        V of the losses' second-order expansions at the point, in closed form.
    curved : float
        V of the part of the losses that is even in the cloud and vanishes at the point: what curvatures change, without
        the losses' values and gradients at the point.
    published : float
        The same of the curvatures along each direction, in the published closed form.
    sigma : float
        Width of the cloud.

    Examples
    --------
    >>> found = SubspaceConvergence(np.array([9]), np.array([0.1]), 9.0, 9.0, 1.0, 1.0, 0.5)
    >>> found.expected.tolist(), found.ratio, found.sufficient_size(0.05)
    ([0.1], 1.0, 13)
    """

    sizes: Annotated[Array, Shape("m", dtype=int)]
    measured: Annotated[Array, Shape("m")]
    variance: float
    quadratic: float
    curved: float
    published: float
    sigma: float

    @property
    def expected(self) -> Array:
        """Compute V/(k(k + 1)), shape (m,)."""
        return self.variance / (self.sizes * (self.sizes + 1.0))

    @property
    def ratio(self) -> float:
        """Measured over expected change, the mean over the sizes: 1 but for the chance of the orders."""
        return float(np.mean(self.measured / self.expected))

    def sufficient_size(self, delta: float) -> int:
        """Smallest number of samples from which one more changes the loss by less than Δ in mean square."""
        ask = self.variance / check_positive("delta", delta)
        return int(np.floor((np.sqrt(1 + 4 * ask) - 1) / 2)) + 1
