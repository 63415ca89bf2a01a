"""The eigenvalue distribution of a large symmetric operator."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array, check_positive
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["SpectralDensity"]


@dataclasses.dataclass(frozen=True, eq=False)
class SpectralDensity(Saved, rows=("n_probes", "m")):
    """Quadrature nodes and weights of the spectrum, from several random probes.

    Parameters
    ----------
    nodes : numpy.ndarray, shape (n_probes, m)
        Ritz values of each probe.
    weights : numpy.ndarray, shape (n_probes, m)
        Their weights; each row sums to 1.
    size : int
        P, the number of eigenvalues.

    References
    ----------
    S. Ubaru, J. Chen, Y. Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, 2017.
    """

    nodes: Annotated[Array, Shape("n_probes", "m")]
    weights: Annotated[Array, Shape("n_probes", "m")]
    size: int

    def density(self, x: Array, width: float) -> Array:
        """Density at x, shape (n,), smoothed by a Gaussian of some width; it integrates to 1."""
        check_positive("width", width)
        z = (np.asarray(x, dtype=np.float64)[:, None] - self.nodes.ravel()) / width
        bumps = np.exp(-0.5 * z**2) / (width * np.sqrt(2 * np.pi))
        return bumps @ self.weights.ravel() / len(self.nodes)

    def moment(self, power: int) -> tuple[float, float]:
        """Estimate tr(A^power), with the standard error over the probes."""
        each = self.size * np.sum(self.weights * self.nodes**power, axis=1)
        error = np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
        return float(each.mean()), float(error)

    def share_below(self, x: float) -> float:
        """Share of the eigenvalues below x, in [0, 1]."""
        return float(np.sum(self.weights * (self.nodes < x)) / len(self.nodes))

    @property
    def negative_share(self) -> float:
        """Share of the eigenvalues below −1e-3 of the largest magnitude; values nearer to zero count as zero."""
        return self.share_below(-1e-3 * float(np.abs(self.nodes).max()))

    @property
    def effective_rank(self) -> float:
        """(tr A)²/tr A²: how many equal eigenvalues would give the same two traces, at most P."""
        return float(self.moment(1)[0] ** 2 / self.moment(2)[0])

    @property
    def condition(self) -> float:
        """Largest |λ| over the median |λ|: how far the outliers are above the bulk, at least 1."""
        order = np.argsort(np.abs(self.nodes), axis=None)
        values = np.abs(self.nodes).ravel()[order]
        mass = np.cumsum(self.weights.ravel()[order]) / len(self.nodes)
        median = values[np.searchsorted(mass, 0.5)]
        return float(values[-1] / median) if median > 0 else float("inf")
