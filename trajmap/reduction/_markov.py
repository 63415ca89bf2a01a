"""Gaussian kernels, dense and sparse, and the leading eigenpairs of the Markov chain they make."""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from trajmap._validation import Array

__all__ = ["dense_kernel", "leading_pairs", "sparse_kernel"]


def dense_kernel(X: Array, epsilon: float, scales: Array) -> Array:
    """Kernel exp(−d²/(4 ε σ_i σ_j)) of all pairs, by pydiffmap where the bandwidth is fixed."""
    from pydiffmap.kernel import Kernel

    if np.ptp(scales) > 0:
        kernel: Array = np.exp(-cdist(X, X, "sqeuclidean") / (4 * epsilon * np.outer(scales, scales)))
        return kernel
    # pydiffmap takes no bandwidth far from 1 kindly, so points are scaled; a fresh kernel over all pairs, since its
    # compute() overwrites the distances it was fitted with
    unit = np.sqrt(epsilon)
    made: Array = Kernel(epsilon=1.0, k=len(X)).fit(X / unit).compute().toarray()
    return made


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

    Dense kernels are solved whole. For sparse ones the top of the spectrum is crowded against 1, where Lanczos
    iterations may not converge in thousands of steps; inverted just above 1 it is the well-separated end, and
    a few steps do.

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
        if pieces > 1:  # as many eigenvalues 1 as pieces
            return np.ones(k), np.ones((n, k))
        values, vectors = eigsh(
            symmetric.tocsc(), k=k, sigma=1.0 + 1e-3, which="LM", v0=root + 1e-3 * np.cos(np.arange(n))
        )
        order = np.argsort(values)[::-1]
        values, vectors = values[order], vectors[:, order]
    else:
        kernel = kernel * np.outer(weight, weight)
        degree = kernel.sum(axis=1)
        root = np.sqrt(degree)
        kernel /= np.outer(root, root)
        values, vectors = scipy.linalg.eigh(kernel, subset_by_index=[n - k, n - 1], driver="evr", overwrite_a=True)
        values, vectors = values[::-1], vectors[:, ::-1]
    return values, vectors / root[:, None] * np.sqrt(degree.sum())
