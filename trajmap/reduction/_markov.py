"""Gaussian kernels, dense and sparse, and the leading eigenpairs of their Markov chain."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh
from sklearn.neighbors import NearestNeighbors

from trajmap._validation import Array

__all__ = ["dense_kernel", "leading_pairs", "sparse_kernel"]

# up to this many points the full tridiagonal form is faster
_WHOLE = 600
# shift of the inverse above the largest eigenvalue: beyond rounding, but nearer than the next eigenvalue
_SHIFT = 1e-7
_LARGEST_BASIS = 400


def dense_kernel(squares: Array, epsilon: float, scales: Array) -> Array:
    """Replace the squared distances of all pairs by the kernel exp(−d²/(4 ε σ_i σ_j))."""
    squares /= -4 * epsilon * scales
    squares /= scales[:, None]
    return np.exp(squares, out=squares)


def sparse_kernel(X: Array, epsilon: float, scales: Array, n_neighbors: int) -> Any:
    """Return the same kernel on each point's nearest neighbours, itself included, symmetrised by the larger entry."""
    near = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(X)
    distances, places = near.kneighbors(X)
    rows = np.repeat(np.arange(len(X)), n_neighbors + 1)
    columns = places.ravel()
    values = np.exp(-(distances.ravel() ** 2) / (4 * epsilon * scales[rows] * scales[columns]))
    kernel = sp.csr_matrix((values, (rows, columns)), shape=(len(X), len(X)))
    kernel = kernel.maximum(kernel.T)
    kernel.setdiag(1.0)
    return kernel.tocsr()


def leading_pairs(kernel: Any, weight: Array, k: int) -> tuple[Array, Array]:
    """Eigenpairs of D⁻¹ W K W, W = diag(weight), largest first, with Σ_i π_i ψ(i)² = 1.

    The top eigenvalues are close to 1, where Lanczos iterations may not converge in thousands of steps. The inverse,
    shifted to just above 1, separates them well, so that a few steps are enough. A dense kernel is overwritten.

    Returns
    -------
    values : numpy.ndarray, shape (k,)
        1, λ_1, ….
    psi : numpy.ndarray, shape (n, k)
        Right eigenvectors.
    """
    n = len(weight)
    if sp.issparse(kernel):
        W = sp.diags_array(weight)
        kernel = W @ kernel @ W
        degree = np.asarray(kernel.sum(axis=1)).ravel()
        root = np.sqrt(degree)
        symmetric = sp.diags_array(1 / root) @ kernel @ sp.diags_array(1 / root)
        pieces = connected_components(symmetric, directed=False, return_labels=False)
        if pieces > 1:  # one eigenvalue 1 per connected piece
            return np.ones(k), np.ones((n, k))
        values, vectors = eigsh(
            symmetric.tocsc(), k=k, sigma=1.0 + 1e-3, which="LM", v0=root + 1e-3 * np.cos(np.arange(n))
        )
        order = np.argsort(values)[::-1]
        values, vectors = values[order], vectors[:, order]
    else:
        for factor in (weight, None):
            root = np.sqrt(kernel.sum(axis=1)) if factor is None else 1 / factor
            kernel /= root
            kernel /= root[:, None]
        degree = root**2
        values, vectors = _dense_pairs(kernel, root / np.linalg.norm(root), k)
    return values, vectors / root[:, None] * np.sqrt(degree.sum())


def _dense_pairs(symmetric: Array, top: Array, k: int) -> tuple[Array, Array]:
    """Leading eigenpairs of a symmetric matrix whose first one (eigenvalue 1) is known; the matrix is overwritten.

    A block Krylov method on the inverse finds eigenvalues of any multiplicity up to the block's width. If the spectrum
    has no separated end, the matrix is reduced to tridiagonal form instead.

    Returns
    -------
    values : numpy.ndarray, shape (k,)
        Eigenvalues, descending.
    vectors : numpy.ndarray, shape (n, k)
        Orthonormal eigenvectors.
    """
    n = len(top)
    diagonal = np.diag(symmetric).copy()
    if n > _WHOLE:
        np.negative(symmetric, out=symmetric)
        np.fill_diagonal(symmetric, 1 + _SHIFT - diagonal)
        factor = scipy.linalg.cho_factor(symmetric.T, lower=True, overwrite_a=True, check_finite=False)
        found = _krylov(lambda block: scipy.linalg.cho_solve(factor, block, check_finite=False), top, k - 1)
        if found is not None:
            values = np.concatenate([[1.0], 1 + _SHIFT - 1 / found[0]])
            return values, np.concatenate([top[:, None], found[1]], axis=1)
        # the factor lies on one side of the diagonal; the other side is still the matrix
        np.negative(symmetric, out=symmetric)
        np.fill_diagonal(symmetric, diagonal)
    values, vectors = scipy.linalg.eigh(
        symmetric.T, lower=False, subset_by_index=[n - k, n - 1], driver="evr", overwrite_a=True
    )
    return values[::-1], vectors[:, ::-1]


def _krylov(solve: Callable[[Array], Array], top: Array, k: int) -> tuple[Array, Array] | None:
    """Find the k largest eigenvalues of an operator orthogonal to a known eigenvector; None if they do not converge."""
    width = k + 6
    block = np.random.default_rng(0).normal(size=(len(top), width))
    basis, images = np.empty((len(top), 0)), np.empty((len(top), 0))
    while basis.shape[1] + width <= _LARGEST_BASIS:
        for _ in range(2):  # twice, because of rounding
            block -= np.outer(top, top @ block)
            block -= basis @ (basis.T @ block)
            block = np.linalg.qr(block)[0]
        image = solve(block)
        image -= np.outer(top, top @ image)
        basis, images = np.hstack([basis, block]), np.hstack([images, image])
        small = basis.T @ images
        theta, turn = scipy.linalg.eigh((small + small.T) / 2)
        theta, turn = theta[: -k - 1 : -1], turn[:, : -k - 1 : -1]
        vectors = basis @ turn
        if (np.linalg.norm(images @ turn - vectors * theta, axis=0) <= 1e-12 * theta).all():
            return theta, vectors
        block = image
    return None
