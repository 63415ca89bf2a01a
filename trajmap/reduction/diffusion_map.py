"""Diffusion maps: coordinates in which the random walk on the data relaxes slowest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from trajmap._validation import Array, check_fraction, check_positive, worded
from trajmap.errors import InputError
from trajmap.reduction._base import Embedding
from trajmap.reduction._checks import fix_signs
from trajmap.reduction.lifting import fit_barycentric_lift

__all__ = ["DiffusionMap"]


class DiffusionMap(Embedding):
    """Eigenfunctions of the diffusion operator on a cloud of points.

    With the Gaussian kernel K = exp(−d²/4ε), the density q = K1 is divided out to the power α, and the rows are
    normalised to a Markov matrix P. Its eigenpairs P ψ_k = λ_k ψ_k come from the symmetric matrix
    D^{-1/2} K^{(α)} D^{-1/2} by a dense solve. Coordinates are λ_k^t ψ_k, k = 1 … d, with Σ_i π_i ψ_k(i)² = 1 in
    the stationary distribution π, and the entry of largest magnitude positive.

    Kernel and bandwidth rule are pydiffmap's; the eigen-solve, the extension ψ_k(y) = λ_k⁻¹ Σ_j P(y, x_j) ψ_k(x_j)
    (with its factor) and the signs are not, because there pydiffmap is neither repeatable nor exact. All pairs of
    points enter the kernel: with few neighbours the bandwidth rule collapses.

    Two traps. Any path ordered in time, a random walk included, gives coordinates cos(kπs) with log-eigenvalues
    1 : 4 : 9; the shape alone is no evidence of a manifold. And ψ_2 is usually a function of ψ_1 (a harmonic).

    Parameters
    ----------
    n_components : int
        d, the number of coordinates.
    alpha : float
        Density exponent in [0, 1]: 0 graph Laplacian, ½ Fokker–Planck (of the gradient flow whose stationary
        density the points sample), 1 Laplace–Beltrami (density divided out).
    epsilon : float or callable, optional
        Bandwidth ε in units of squared distance, or a function of the points that gives it. By default the rule
        of Berry, Giannakis and Harlim over powers of two; on runs whose steps shrink that rule can settle on the
        smallest steps and tear the graph apart, so ε is at least a quarter of the squared longest edge of the
        minimum spanning tree, where that edge has the kernel value 1/e.
    t : float
        Diffusion time, ≥ 0.
    n_neighbors : int
        Neighbours of the lift, the mean of the nearest embedded points; see `fit_barycentric_lift`.

    Attributes
    ----------
    embedding_ : numpy.ndarray, shape (n, d)
        Coordinates of the fitted points.
    eigenvalues_ : numpy.ndarray, shape (d,)
        λ_1 … λ_d in (0, 1), descending; λ_0 = 1 is left out.
    generator_eigenvalues_ : numpy.ndarray, shape (d,)
        (λ_k − 1)/ε, the spectrum of the generator, ≤ 0.
    epsilon_ : float
        The bandwidth.

    Raises
    ------
    InputError
        On fitting: too few points, points that agree, or a kernel that falls apart into unconnected pieces.

    References
    ----------
    R. Coifman, S. Lafon, Diffusion maps, 2006. T. Berry, D. Giannakis, J. Harlim, Nonparametric forecasting of
    low-dimensional dynamical systems, 2015.

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> fitted = DiffusionMap(n_components=2, alpha=1.0, epsilon=0.01).fit(circle)
    >>> fitted.generator_eigenvalues_.round(1)
    array([-1., -1.])
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        alpha: float = 0.5,
        epsilon: float | Callable[[Array], float] | None = None,
        t: float = 1.0,
        n_neighbors: int = 8,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.epsilon = epsilon
        self.t = t
        self.n_neighbors = n_neighbors

    def _check_parameters(self, X: Array) -> None:
        check_fraction("alpha", self.alpha)
        check_positive("t", self.t, zero=True)

    def _fit(self, X: Array, d: int) -> None:
        scale = float(np.sqrt(np.sum((X - X.mean(axis=0)) ** 2) / len(X)))
        if not scale:
            raise InputError(worded("X", "points that differ", f"n_samples = {len(X)} equal ones"))
        kernel, self.epsilon_ = _kernel(X / scale, self.epsilon, scale**2)
        self._X = X
        q = kernel.sum(axis=1)
        self._log_weight = -self.alpha * np.log(q)
        weight = np.exp(self._log_weight)
        kernel = kernel * np.outer(weight, weight)
        degree = kernel.sum(axis=1)
        root = np.sqrt(degree)
        n = len(X)
        values, vectors = scipy.linalg.eigh(
            kernel / np.outer(root, root), subset_by_index=[n - d - 1, n - 1], driver="evr"
        )
        self._check_spectrum(values)
        # ψ = D^{-1/2} v, of norm 1 in the stationary distribution D/ΣD
        psi = vectors[:, ::-1][:, 1:] / root[:, None] * np.sqrt(degree.sum())
        self._psi = psi * fix_signs(psi)
        self.eigenvalues_ = values[::-1][1:]
        self.generator_eigenvalues_ = (self.eigenvalues_ - 1) / self.epsilon_
        self.embedding_ = self.eigenvalues_**self.t * self._psi
        self._neighbours = fit_barycentric_lift(self.embedding_, X, n_neighbors=self.n_neighbors)

    def _restrict(self, X: Array) -> Array:
        """P(y, ·)ψ/λ, normalised in logarithms: far from the data every kernel value underflows."""
        exponents = -cdist(X, self._X, "sqeuclidean") / (4 * self.epsilon_) + self._log_weight
        rows = np.exp(exponents - logsumexp(exponents, axis=1, keepdims=True))
        psi: Array = rows @ self._psi / self.eigenvalues_
        return psi * self.eigenvalues_**self.t

    def _lift(self, Z: Array) -> Array:
        lifted: Array = self._neighbours.predict(Z)
        return lifted

    def _check_spectrum(self, ascending: Array) -> None:
        got = f"epsilon = {self.epsilon_:.3g}"
        if ascending[-2] > 1 - 1e-12:
            raise InputError(
                worded("X", "points that the kernel connects", f"separate pieces at {got}", "a larger epsilon")
            )
        if ascending[0] < 1e-10:
            raise InputError(
                worded("n_components", "eigenvalues above rounding", f"λ = {ascending[0]:.1e} at {got}",
                       "ask for fewer coordinates, or a smaller epsilon")
            )  # fmt: skip


def _kernel(X: Array, epsilon: Any, unit: float) -> tuple[Array, float]:
    """Kernel matrix and bandwidth ε; X in units in which its variance is 1, ε in those of the user."""
    from pydiffmap.kernel import Kernel, choose_optimal_epsilon_BGH

    if callable(epsilon):
        epsilon = epsilon(X * np.sqrt(unit))
    if epsilon is None:
        # X has unit variance: the rule's own 81 powers of two need not all be tried
        chosen, _ = choose_optimal_epsilon_BGH(cdist(X, X, "sqeuclidean").ravel(), 2.0 ** np.arange(-24, 7))
        bandwidth = max(float(chosen), _longest_link(X) ** 2 / 4)
    else:
        bandwidth = check_positive("epsilon", epsilon) / unit
    # a fresh kernel over all pairs: pydiffmap's compute() overwrites the distances it was fitted with
    return Kernel(epsilon=bandwidth, k=len(X)).fit(X).compute().toarray(), bandwidth * unit


def _longest_link(X: Array) -> float:
    """Longest edge of the minimum spanning tree; points that coincide are one."""
    distances = cdist(X, X)
    return float(minimum_spanning_tree(distances).data.max())
