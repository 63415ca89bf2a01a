"""The edge of stability, read from a run's own optimizer settings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import lanczos, largest
from trajmap.curvature.operators import Scaled, batch_gradients
from trajmap.data.edge_gauge import EdgeGauge
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.pieces import pieces_of

__all__ = ["batch_sharpness", "edge_gauge"]


def edge_gauge(
    objective: Objective,
    trajectory: Trajectory,
    *,
    samples: int | None = None,
    lr: float | None = None,
    at: Sequence[int] | Array | None = None,
    n_at: int = 8,
    tol: float = 1e-2,
    random_state: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> EdgeGauge:
    """Set the sharpness along a run against the largest that its learning rate is stable at.

    Gradient descent with momentum β is stable to λ_max = 2(1 + β)/η. SGD feels its batches' sharpness,
    E[g_bᵀH_b g_b]/E|g_b|², against the same bound. Adam is stable to 2(1 + β₁)/((1 − β₁)η) in the Hessian
    preconditioned by its second moments; those are not recorded, and are taken as the mean squared batch gradients at
    the iterate.

    Parameters
    ----------
    objective : Objective
        The training loss.
    trajectory : Trajectory
        The run; ``settings["optimizer"]`` as the recorder writes it.
    samples : int, optional
        The optimizer's batch size; by default ``settings["batch_size"]``, and full-batch descent where there is none.
    lr : float, optional
        The learning rate, for a run that does not say it, as one collected from checkpoints; plain descent is meant
        where the run does not say its optimizer either.
    at : sequence of int, optional
        Places of the iterates; `n_at` even ones by default.
    n_at : int
        Number of iterates when `at` is not given.
    tol : float
        Relative accuracy of λ_max.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the iterates done and their number.

    Returns
    -------
    EdgeGauge
        The gauge, and the regime in words.

    Raises
    ------
    InputError
        If neither the run nor `lr` says a learning rate.

    References
    ----------
    J. Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, 2021; Adaptive
    gradient methods at the edge of stability, 2022; A. Andreyev, P. Beneventano, Edge of stochastic stability, 2024.
    """
    noted = trajectory.settings.get("optimizer")
    optimizer = dict(noted) if isinstance(noted, dict) else {}
    if lr is not None:
        optimizer["lr"] = check_positive("lr", lr)
    if "lr" not in optimizer:
        got, repair = noted or "none", "say lr=… (--lr on the command line)"
        raise InputError(worded("trajectory", "settings['optimizer'] with a learning rate", got, repair))
    objective = objective.along(trajectory)
    samples = trajectory.settings.get("batch_size") if samples is None else samples
    adaptive = "adam" in str(optimizer.get("class", "")).lower()
    threshold = _threshold(optimizer, adaptive=adaptive)
    if at is None:
        at = np.unique(np.linspace(0, trajectory.n_iterates - 1, check_count("n_at", n_at)).round().astype(int))
    kind = "preconditioned sharpness" if adaptive else "batch sharpness" if samples else "sharpness"
    rows = []
    for done, place in enumerate(at):
        theta = trajectory.theta(int(place))
        top = top_eigenspace(objective, theta, 1, tol=tol, order=largest, random_state=random_state).eigenvalues[0]
        felt = float(top)
        if adaptive:
            felt = _preconditioned(objective, theta, optimizer, samples or 0, tol, random_state)
        elif samples:
            felt = batch_sharpness(objective, theta, samples=samples, random_state=random_state)
        rows.append((float(trajectory.steps[int(place)]), felt, float(top)))
        if progress is not None:
            progress(done + 1, len(at))
    steps, sharpness, tops = np.array(rows).T
    return EdgeGauge(steps, sharpness, tops, threshold, kind)


def batch_sharpness(
    objective: Objective, theta: Array, *, samples: int, most: int = 24, random_state: int = 0
) -> float:
    """Mean curvature of batch losses along their own gradients, Σ g_bᵀH_b g_b / Σ |g_b|².

    Parameters
    ----------
    objective : Objective
        The training loss.
    theta : array-like, shape (P,)
        The point.
    samples : int
        The optimizer's batch size.
    most : int
        Batches at most, drawn at random.
    random_state : int
        Seed.

    Returns
    -------
    float
        In the units of an eigenvalue; never above the batches' largest.
    """
    theta = check_array("theta", theta, (objective.size,))
    pieces = pieces_of(objective, check_count("samples", samples))
    rng = np.random.default_rng(random_state)
    chosen = rng.choice(len(pieces), min(most, len(pieces)), replace=False)
    bent = squared = 0.0
    for i in np.sort(chosen):
        piece = pieces[i]
        g = piece.gradient(theta)
        bent += float(g @ piece.hvp(theta, g))
        squared += float(g @ g)
    return bent / squared if squared > 0 else float("nan")


def _threshold(optimizer: dict[str, Any], *, adaptive: bool) -> float:
    rate = check_positive("lr", optimizer["lr"])
    if adaptive:
        first = float((optimizer.get("betas") or (0.9, 0.999))[0])
        return 2 * (1 + first) / ((1 - first) * rate)
    momentum = float(optimizer.get("momentum") or 0.0)
    return 2 * (1 + momentum) / rate


def _preconditioned(
    objective: Objective, theta: Array, optimizer: dict[str, Any], samples: int, tol: float, random_state: int
) -> float:
    gradients, weights = batch_gradients(objective, theta, samples=samples)
    squares = np.einsum("b,bp,bp->p", weights, gradients, gradients)
    scale = 1 / np.sqrt(np.sqrt(squares) + float(optimizer.get("eps") or 1e-8))
    hessian, rng = objective.hessian(theta), np.random.default_rng(random_state)
    found = lanczos(
        Scaled(hessian, hessian.tensor(scale)), rng.standard_normal(objective.size), 1, tol=tol, max_products=120,
        order=largest, rng=rng,
    )  # fmt: skip
    return float(found.values[0])
