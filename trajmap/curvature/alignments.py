"""Overlap of the chart's tangent, the gradient and the step with the Hessian's top eigenspace, along a run."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.curvature.angles import QUANTILES, overlap_baseline, principal_angles, share
from trajmap.curvature.path import eigenspaces_along
from trajmap.data.gram import streamed_products
from trajmap.data.places import even_places
from trajmap.data.progress import Progress, counted
from trajmap.data.results.alignment import Alignment
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection.chart import Chart, chart_name, encode
from trajmap.projection.tangents import tangent

__all__ = ["alignment"]


def alignment(
    objective: Objective,
    chart: Chart,
    trajectory: Trajectory,
    k: int = 10,
    *,
    at: Sequence[int] | Array | None = None,
    n_at: int = 6,
    eigenspaces: Mapping[int, Eigenspace] | None = None,
    name: str = "",
    random_state: int = 0,
    progress: Progress | None = None,
) -> Alignment:
    """Compare a run with the Hessian's top eigenspace, and with random subspaces as a baseline.

    Parameters
    ----------
    objective : Objective
        The loss.
    chart : Chart
        The chart whose tangent is compared.
    trajectory : Trajectory
        The run.
    k : int
        Dimension of the eigenspace, if `eigenspaces` does not contain one.
    at : sequence of int, optional
        Places of the compared iterates, without the last, which has no next step. By default `n_at` evenly spaced ones.
    n_at : int
        Number of compared iterates when `at` is not given.
    eigenspaces : mapping of int to Eigenspace, optional
        Known eigenspaces by optimizer step, all with one k; the others are computed, each started from the previous
        one.
    name : str
        Name of the chart.
    random_state : int
        Seed of Lanczos and of the baselines.
    progress : callable, optional
        Called with the number of iterates done and the total.

    Returns
    -------
    Alignment
        Overlaps in [0, 1], higher means better aligned, and angles in radians. A gradient share near 1 is usual for
        minibatch SGD, but not for late full-batch descent. Compare a tangent with the row-space baseline, because every
        direction of the run's movement resembles its other directions.

    Raises
    ------
    InputError
        If a place is out of range or eigenspaces differ in size.
    LayoutError
        If the trajectory's parameters are not the objective's.

    References
    ----------
    G. Gur-Ari, D. Roberts, E. Dyer, Gradient descent happens in a tiny subspace, 2018.
    """
    objective = objective.along(trajectory)
    places = _places(at, n_at, trajectory.n_iterates)
    spaces = _eigenspaces(objective, trajectory, places, k, eigenspaces or {}, random_state)
    Z = encode(chart, trajectory.iterates)
    rows = []
    for place, space in counted(zip(places, spaces, strict=True), progress, len(places)):
        theta, following = trajectory.theta(place), trajectory.theta(place + 1)
        directions = tangent(chart, Z[place], fd_step=_spacing(Z))
        angles = principal_angles(directions, space.eigenvectors)
        step = following.astype(np.float64) - theta
        gradient = share(space.eigenvectors, objective.gradient(theta))
        rows.append((angles, np.mean(np.cos(angles) ** 2), gradient, share(space.eigenvectors, step)))
    angles, overlaps, gradients, steps = (np.array(part) for part in zip(*rows, strict=True))
    return Alignment(
        trajectory.steps[places].astype(float),
        np.stack([space.eigenvalues for space in spaces]),
        np.stack([space.residuals for space in spaces]),
        angles,
        overlaps,
        gradients,
        steps,
        _baselines(trajectory, spaces, Z.shape[1], random_state),
        size=objective.size,
        name=chart_name(chart, name),
    )


def _places(at: Sequence[int] | Array | None, n_at: int, T: int) -> list[int]:
    if at is None:
        return even_places(T - 1, check_count("n_at", n_at)).tolist()
    places = check_array("at", at, (None,), dtype=np.int64).tolist()
    if not places or min(places) < 0 or max(places) > T - 2:
        raise InputError(worded("at", f"places in [0, {T - 2}], each with a next iterate", f"{places}"))
    return places


def _eigenspaces(
    objective: Objective,
    trajectory: Trajectory,
    places: list[int],
    k: int,
    known: Mapping[int, Eigenspace],
    random_state: int,
) -> list[Eigenspace]:
    """One eigenspace a place, the missing ones found from those before."""
    found = [
        space
        for _, space in eigenspaces_along(objective, trajectory, k, places, known=known, random_state=random_state)
    ]
    if len({space.eigenvectors.shape for space in found}) != 1:
        shapes = ", ".join(str(space.eigenvectors.shape) for space in found)
        raise InputError(worded("eigenspaces", "one shape (k, P) for all", shapes, "compute them with one k"))
    return found


def _spacing(Z: Array) -> Array:
    """Choose the step of the tangent's differences: twice the median distance of successive iterates."""
    # a lift that averages neighbours moves only on that scale; for a constant coordinate a fraction of its range is
    # used
    steps = 2 * np.median(np.abs(np.diff(Z, axis=0)), axis=0)
    reach = np.ptp(Z, axis=0)
    floor = 1e-3 * np.where(reach > 0, reach, 1.0)
    return np.maximum(steps, floor)


def _baselines(trajectory: Trajectory, spaces: list[Eigenspace], d: int, random_state: int) -> dict[str, Array]:
    k, P = spaces[0].eigenvectors.shape
    small = min(d, k)
    fits = small + max(d, k) <= P
    nothing = np.full(3, np.nan)
    return {
        "vector": overlap_baseline(1, k, P) if k < P else nothing,
        "tangent": overlap_baseline(small, max(d, k), P, random_state=random_state) if fits else nothing,
        "row_space": _within_row_space(trajectory, spaces, d, random_state),
    }


def _within_row_space(trajectory: Trajectory, spaces: list[Eigenspace], d: int, random_state: int) -> Array:
    """Quantiles of the overlap of d isotropic directions of the iterates' span with the eigenspaces."""
    stacked = np.concatenate([space.eigenvectors for space in spaces])
    gram, products = streamed_products(trajectory.iterates, stacked)
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-12 * values[-1]
    # orthonormal coordinates of the span: S⁻¹ Uᵀ X_c
    inside = (vectors[:, keep] / np.sqrt(values[keep])).T @ products
    rng = np.random.default_rng(random_state)
    k, width = spaces[0].k, min(d, len(inside))
    draws = []
    for i in range(len(spaces)):
        for _ in range(200):
            Q = np.linalg.qr(rng.standard_normal((len(inside), width)))[0]
            draws.append(np.sum((Q.T @ inside[:, i * k : (i + 1) * k]) ** 2) / min(width, k))
    return np.quantile(draws, QUANTILES)
