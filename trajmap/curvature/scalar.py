"""The loss graph's scalar curvature, and the kind of a point."""

import numpy as np

from trajmap._validation import Array, check_array, check_count
from trajmap.curvature.density import spectral_density
from trajmap.curvature.operators import Product
from trajmap.curvature.probes import quadratic_forms
from trajmap.data.results.curvature_class import CurvatureClass
from trajmap.data.results.scalar_curvature import ScalarCurvature
from trajmap.objective.objective import Objective

__all__ = ["curvature_class", "scalar_curvature"]


def scalar_curvature(
    objective: Objective, theta: Array, *, n_products: int = 100, random_state: int = 0
) -> ScalarCurvature:
    """Compute the scalar curvature of the surface (θ, L(θ)) at a point.

    With g the gradient and W = 1 + |g|², the shape operator is S = (I − ggᵀ/W) H/√W, so that tr S and tr S² need tr H,
    tr H², gᵀHg and |Hg|²; the two traces are estimated by random signs, or computed exactly in at most `n_products`
    dimensions.

    Parameters
    ----------
    objective : Objective
        The loss.
    theta : array-like, shape (P,)
        The point.
    n_products : int
        Hessian products for the traces.
    random_state : int
        Seed.

    Returns
    -------
    ScalarCurvature
        Positive if all directions curve to the same side, negative at saddles.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(3, 1, bias=False)
    >>> ball = Objective(model, lambda m, x: 2 - (4 - m(x).square().sum()).sqrt(), [torch.eye(3)])
    >>> round(scalar_curvature(ball, [0.3, -0.4, 0.8]).value, 5)
    1.5
    """
    theta = check_array("theta", theta, (objective.size,))
    g, hessian = objective.gradient(theta), objective.hessian(theta)
    if objective.size <= check_count("n_products", n_products, low=2):
        H = np.stack([hessian(unit) for unit in np.eye(objective.size)])
        traces = np.array([[np.trace(H), np.sum(H**2)]])
    else:
        traces = np.array(list(quadratic_forms(hessian, n_products, np.random.default_rng(random_state))))
    Hg = hessian(g)
    W = 1 + float(g @ g)
    along, mixed = float(g @ Hg) / W, float(Hg @ Hg) / W

    def curvature(trace: float, squared: float) -> float:
        return float(((trace - along) ** 2 - (squared - 2 * mixed + along**2)) / W)

    trace, squared = traces.mean(axis=0)
    n = len(traces)
    error = 0.0
    if n > 1:
        trace_variance = float(traces[:, 0].var(ddof=1) / n)
        # the square of a noisy trace is on average too large by its variance
        jackknife = [curvature(*((n * traces.mean(axis=0) - row) / (n - 1))) for row in traces]
        error = float(np.sqrt((n - 1) * np.var(jackknife)))
        return ScalarCurvature(curvature(trace, squared) - trace_variance / W, error, float(trace), float(squared))
    return ScalarCurvature(curvature(trace, squared), error, float(trace), float(squared))


def curvature_class(
    product: Product, size: int, *, n_steps: int = 60, flat: float = 1e-2, random_state: int = 0
) -> CurvatureClass:
    """Name the kind of a point by its Ritz values: convex, concave, saddle, singular, or flat.

    Parameters
    ----------
    product : Operator or callable
        v ↦ Hv.
    size : int
        P.
    n_steps : int
        Lanczos steps.
    flat : float
        Ritz values within this fraction of the largest magnitude count as zero.
    random_state : int
        Seed.

    Returns
    -------
    CurvatureClass
        Its kind, and how many Ritz values bend each way.

    References
    ----------
    A. Bosman, A. Engelbrecht, M. Helbig, Empirical loss landscape analysis of neural network activation functions,
    2023 (the classes).

    Examples
    --------
    >>> curvature_class(lambda v: np.array([2.0, -1.0, 0.0]) * v, 3)
    CurvatureClass(kind='saddle', n_negative=1, n_positive=1)
    >>> curvature_class(lambda v: np.array([2.0, 0.0]) * v, 2)
    CurvatureClass(kind='singular', n_negative=0, n_positive=1)
    """
    values = spectral_density(product, size, n_probes=1, n_steps=n_steps, random_state=random_state).nodes[0]
    high = float(np.abs(values).max())
    negative, positive = int(np.sum(values < -flat * high)), int(np.sum(values > flat * high))
    if high == 0 or not (negative or positive):
        return CurvatureClass("flat", 0, 0)
    if negative and positive:
        kind = "saddle"
    elif negative + positive < len(values):
        kind = "singular"
    else:
        kind = "convex" if positive else "concave"
    return CurvatureClass(kind, negative, positive)
