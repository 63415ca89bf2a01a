"""Diffusion maps: the coordinates along which a random walk on the data relaxes most slowly."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.utils.validation import check_is_fitted

from trajmap._validation import Array, check_count, check_fraction, check_positive, worded
from trajmap.errors import InputError
from trajmap.reduction._base import Embedding
from trajmap.reduction._checks import fix_signs
from trajmap.reduction._markov import dense_kernel, leading_pairs, sparse_kernel
from trajmap.reduction.bandwidth import connecting_distance, kernel_slope, local_scales
from trajmap.reduction.lifting import fit_barycentric_lift

__all__ = ["DiffusionMap"]


class DiffusionMap(Embedding):
    """Eigenfunctions of the diffusion operator on a cloud of points.

    With the Gaussian kernel K = exp(−d²/4ε), the kernel is divided by the density q = K1 to the power α, and the rows
    are normalised to a Markov matrix P. Its eigenpairs P ψ_k = λ_k ψ_k come from the symmetric matrix D^{-1/2} K^{(α)}
    D^{-1/2}. Coordinates are λ_k^t ψ_k, k = 1 … d, with Σ_i π_i ψ_k(i)² = 1 in the stationary distribution π, and the
    entry of largest magnitude positive.

    Eigenvalues and eigenvectors equal those of pydiffmap at a fixed bandwidth. The extension ψ_k(y) = λ_k⁻¹ Σ_j P(y,
    x_j) ψ_k(x_j) and the signs differ, because pydiffmap's are neither repeatable nor exact. All pairs of points enter
    the kernel, unless `kernel_neighbors` makes it sparse; only the requested eigenpairs are computed.

    Two warnings. First, any path ordered in time, also a random walk, gives coordinates cos(kπs) with log-eigenvalues 1
    : 4 : 9, so the shape is no evidence of a manifold. Second, ψ_2 is usually a function of ψ_1 (a harmonic): see
    `independent_coordinates`.

    Parameters
    ----------
    n_components : int
        d, the number of coordinates.
    alpha : float
        Density exponent in [0, 1]: 0 graph Laplacian, ½ Fokker–Planck (of the gradient flow whose stationary
        density the points sample), 1 Laplace–Beltrami (independent of the density).
    epsilon : float or callable, optional
        Bandwidth ε in units of squared distance, or a rule of ``trajmap.reduction.bandwidth``: a function of the points
        that returns it. By default `connecting_distance`.
    t : float
        Diffusion time, ≥ 0.
    variable : int, optional
        Rank k of the neighbour whose distance scales the bandwidth of each point (self-tuned); fixed bandwidth by
        default.
    kernel_neighbors : int, optional
        Restrict the kernel to this many nearest neighbours of each point, symmetrised, and use a sparse solver; for
        more than about 5000 points. All pairs by default.
    n_neighbors : int
        Neighbours of the lift, the mean of the nearest embedded points; see `fit_barycentric_lift`.

    Attributes
    ----------
    embedding_ : numpy.ndarray, shape (n, d)
        Coordinates of the fitted points.
    eigenvalues_ : numpy.ndarray, shape (d,)
        λ_1 … λ_d in (0, 1), descending, without λ_0 = 1.
    generator_eigenvalues_ : numpy.ndarray, shape (d,)
        (λ_k − 1)/ε, the spectrum of the generator, ≤ 0.
    epsilon_ : float
        The bandwidth.
    spectral_gap_ : float
        λ_d − λ_{d+1}: a large gap supports d coordinates; NaN if there is no further eigenvalue.
    dimension_ : float
        Intrinsic dimension by `kernel_slope`, computed on access; NaN for a sparse kernel.

    Raises
    ------
    InputError
        On fitting: too few points, equal points, or a kernel with several unconnected pieces.

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

    word = "diffusion"
    _kept = (
        "_X", "_scales", "_log_weight", "_psi", "_dimension", "embedding_", "eigenvalues_", "generator_eigenvalues_",
        "epsilon_", "spectral_gap_",
    )  # fmt: skip
    _dimension: float | None

    def __init__(
        self,
        n_components: int = 2,
        *,
        alpha: float = 0.5,
        epsilon: float | Callable[[Array], float] | None = None,
        t: float = 1.0,
        variable: int | None = None,
        kernel_neighbors: int | None = None,
        n_neighbors: int = 8,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.epsilon = epsilon
        self.t = t
        self.variable = variable
        self.kernel_neighbors = kernel_neighbors
        self.n_neighbors = n_neighbors

    @property
    def dimension_(self) -> float:
        """Intrinsic dimension by `kernel_slope`; it takes as long as the fit, so it is computed on access."""
        check_is_fitted(self)
        if self._dimension is None:
            self._dimension = kernel_slope(self._X).dimension
        return self._dimension

    def diffusion_distance(self) -> Array:
        """Distances √(Σ_k λ_k^{2t} (ψ_k(i) − ψ_k(j))²) of the fitted points, over the kept coordinates.

        Returns
        -------
        numpy.ndarray, shape (n, n)
            The distances.
        """
        return cdist(self.embedding_, self.embedding_)

    def _check_parameters(self, X: Array) -> None:
        check_fraction("alpha", self.alpha)
        check_positive("t", self.t, zero=True)
        for name in ("variable", "kernel_neighbors"):
            value = getattr(self, name)
            if value is not None and check_count(name, value) >= len(X):
                raise InputError(worded(name, f"less than n_samples = {len(X)}", value, "request fewer neighbours"))

    def _fit(self, X: Array, d: int) -> Array:
        if not np.any(X[0] != X):
            raise InputError(worded("X", "points that differ", f"n_samples = {len(X)} equal ones"))
        self._X = X
        self._dimension = None if self.kernel_neighbors is None else float("nan")
        self._scales = np.ones(len(X)) if self.variable is None else local_scales(X, self.variable)
        kernel = self._kernel(X)
        self._log_weight = -self.alpha * np.log(np.asarray(kernel.sum(axis=1)).ravel())
        values, psi = leading_pairs(kernel, np.exp(self._log_weight), min(d + 2, len(X)))
        self._check_spectrum(values[: d + 1])
        self._psi = psi[:, 1 : d + 1] * fix_signs(psi[:, 1 : d + 1])
        self.eigenvalues_ = values[1 : d + 1]
        self.spectral_gap_ = float(values[d] - values[d + 1]) if len(values) > d + 1 else float("nan")
        self.generator_eigenvalues_ = (self.eigenvalues_ - 1) / self.epsilon_
        self.embedding_ = self.eigenvalues_**self.t * self._psi
        return self.embedding_

    def _rebuild(self, points: Any) -> None:
        self._neighbours = fit_barycentric_lift(self.embedding_, self._X, n_neighbors=self.n_neighbors)

    def _kernel(self, X: Array) -> Any:
        """Choose the bandwidth and make the kernel; distances of all pairs are computed once."""
        if self.kernel_neighbors is not None:
            self.epsilon_ = self._bandwidth(X, None)
            return sparse_kernel(X, self.epsilon_, self._scales, self.kernel_neighbors)
        squares = squareform(pdist(X, "sqeuclidean"), checks=False)
        self.epsilon_ = self._bandwidth(X, squares)
        return dense_kernel(squares, self.epsilon_, self._scales)

    def _bandwidth(self, X: Array, squares: Array | None) -> float:
        if self.epsilon is None:
            return connecting_distance(X, squares=squares)
        return check_positive("epsilon", self.epsilon(X) if callable(self.epsilon) else self.epsilon)

    def _restrict(self, X: Array) -> Array:
        """Compute P(y, ·)ψ/λ, normalised in logarithms, because far from the data every kernel value underflows."""
        return np.concatenate([self._extended(X[start : start + 256]) for start in range(0, len(X), 256)])

    def _extended(self, X: Array) -> Array:
        squares = cdist(X, self._X, "sqeuclidean")
        exponents = squares / (-4 * self.epsilon_ * self._scales)
        exponents /= self._scale_of(squares)[:, None]
        exponents += self._log_weight
        if self.kernel_neighbors is not None:  # within the reach of the kernel, except for a fitted point's own row
            kth = np.partition(squares, self.kernel_neighbors, axis=1)[:, self.kernel_neighbors]
            exponents[squares > kth[:, None]] = -np.inf
        exponents -= exponents.max(axis=1, keepdims=True)
        rows = np.exp(exponents, out=exponents)
        psi: Array = rows @ self._psi / (rows.sum(axis=1, keepdims=True) * self.eigenvalues_)
        if self.kernel_neighbors is not None:
            fitted, place = np.nonzero(squares == 0)
            psi[fitted] = self._psi[place]
        return psi * self.eigenvalues_**self.t

    def _scale_of(self, squares: Array) -> Array:
        """Bandwidth scale of new points: that of the nearest fitted one."""
        if self.variable is None:
            return np.ones(len(squares))
        return self._scales[squares.argmin(axis=1)]

    def _lift(self, Z: Array) -> Array:
        return self._neighbours.predict(Z)

    def _spread(self, Z: Array) -> Array:
        return np.zeros(len(Z))

    def _check_spectrum(self, values: Array) -> None:
        got = f"epsilon = {self.epsilon_:.3g}"
        if values[1] > 1 - 1e-12:
            repair = "a larger epsilon, or more kernel_neighbors"
            raise InputError(worded("X", "points connected by the kernel", f"separate pieces at {got}", repair))
        if values[-1] < 1e-10:
            raise InputError(
                worded("n_components", "eigenvalues above rounding", f"λ = {values[-1]:.1e} at {got}",
                       "request fewer coordinates, or a smaller epsilon")
            )  # fmt: skip
