"""The Hessian's top eigenspace at a point."""

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.curvature.lanczos import Order, by_magnitude, lanczos_pairs
from trajmap.curvature.probes import random_normal
from trajmap.data.progress import Progress
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.operator import Watched

__all__ = ["top_eigenspace"]


def top_eigenspace(  # ruff: ignore[too-many-arguments] - each option is an independent choice with a default
    objective: Objective,
    theta: Array,
    k: int = 10,
    *,
    tol: float = 1e-2,
    start: Eigenspace | Array | None = None,
    order: Order = by_magnitude,
    method: str = "exact",
    max_products: int | None = None,
    memory: float | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Eigenspace:
    """Find the k extreme eigenpairs of the loss's Hessian.

    Lanczos with partial reorthogonalisation, rather than ARPACK through SciPy or block methods: at the same
    residual it needs half the Hessian products, can start from the eigenspace of a neighbouring iterate, and
    reports its residuals.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    k : int
        Number of pairs.
    tol : float
        Relative residual ‖Hv − λv‖/|λ| at which a pair has converged.
    start : Eigenspace or array-like of shape (P,), optional
        The start: a vector, or an eigenspace (of the previous iterate), of which the sum of the eigenvectors is used.
    order : callable
        Which end: `by_magnitude`, `largest` (algebraic) or `smallest` (most negative).
    method : str
        ``"exact"`` products, or ``"differences"`` of gradients for losses without a second derivative; their error
        limits the attainable residual.
    max_products : int, optional
        Maximum number of Hessian products; 20·k + 40 by default. Pairs that have not converged are flagged.
    memory : float, optional
        Bytes that the Krylov basis may take on the model's device, in the model's dtype. At the limit the search
        restarts from the best vectors, which costs more products. By default a quarter of the free memory.
    random_state : int
        Seed of the start vector.
    progress : callable, optional
        Called with the Hessian products done and the most there may be.

    Returns
    -------
    Eigenspace
        The pairs in the given order, with residuals, flags and the number of products; eigenvectors in the model's
        dtype. If a missing copy of a repeated eigenvalue cannot be excluded within `max_products`, the pairs that it
        would displace are not flagged as converged.

    Raises
    ------
    InputError
        If k exceeds P, the Hessian holds NaN or inf, or the model's dtype is narrower than float32.

    References
    ----------
    C. Lanczos 1950; C. Paige, The computation of eigenvalues and eigenvectors of very large sparse matrices, 1971.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(3, 1, bias=False)
    >>> scales = torch.tensor([[1.0, 0, 0], [0, 2, 0], [0, 0, 3]])
    >>> bowl = Objective(model, lambda m, x: m(x).square().sum() / 2, [scales])
    >>> top_eigenspace(bowl, np.zeros(3), k=2, tol=1e-6).eigenvalues.round(5).tolist()
    [9.0, 4.0]
    """
    theta = check_array("theta", theta, (objective.size,))
    check_count("k", k, high=objective.size)
    check_positive("tol", tol, zero=True)
    limit = 20 * k + 40 if max_products is None else check_count("max_products", max_products, low=k)
    rng = np.random.default_rng(random_state)
    hessian = Watched(objective.hessian(theta, method=method), progress, limit)
    found = lanczos_pairs(
        hessian,
        random_normal(hessian, rng) if start is None else _start(start, objective.size, rng),
        k,
        tol=tol,
        max_products=limit,
        order=order,
        rng=rng,
        memory=memory,
    )
    for vector in found.vectors:
        if -vector.min() > vector.max():
            np.negative(vector, out=vector)
    return Eigenspace(found.values, found.vectors, found.residuals, found.converged, found.n_products)


def _start(start: Eigenspace | Array, size: int, rng: np.random.Generator) -> Array:
    given = start.eigenvectors.sum(axis=0) if isinstance(start, Eigenspace) else start
    vector = check_array("start", given, (size,), dtype=np.float64)
    norm = np.linalg.norm(vector)
    if not np.isfinite(norm) or norm == 0:
        raise InputError(worded("start", "a finite direction", f"norm {norm}"))
    # a small part of everything else, so that no new direction is orthogonal to the start
    return vector / norm + 1e-2 * rng.standard_normal(size) / np.sqrt(size)
