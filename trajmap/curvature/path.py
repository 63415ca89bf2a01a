"""The top eigenspace at many iterates of a run, each search started from the previous one, and its movement."""

import itertools
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.curvature.angles import overlap, principal_angles
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import Order, by_magnitude
from trajmap.data.places import even_places
from trajmap.data.progress import Progress, counted
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.eigenspace_drift import EigenspaceDrift
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["displacement", "eigenspace_path", "eigenspaces_along", "grassmann_distance"]

_NONE_KNOWN: Mapping[int, Eigenspace] = types.MappingProxyType({})


def eigenspace_path(  # ruff: ignore[too-many-arguments] - each option is an independent choice with a default
    objective: Objective,
    trajectory: Trajectory,
    k: int = 10,
    *,
    at: Sequence[int] | Array | None = None,
    n_at: int = 8,
    tol: float = 1e-2,
    order: Order = by_magnitude,
    method: str = "exact",
    out: str | os.PathLike[str] | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> dict[int, Eigenspace]:
    """Compute the top eigenspace along a run.

    Parameters
    ----------
    objective : Objective
        The loss.
    trajectory : Trajectory
        The run.
    k : int
        Pairs.
    at : sequence of int, optional
        Places of the iterates; by default `n_at` evenly spaced ones.
    n_at : int
        Number of iterates when `at` is not given.
    tol : float
        Relative residual.
    order : callable
        Which end of the spectrum, the same for all that a folder keeps.
    method : str
        Of the Hessian products, as in `top_eigenspace`.
    out : path-like, optional
        Folder that keeps each eigenspace, vectors in float32, as ``<step>.npz``. One that is there is taken instead of
        being found again, so that a killed search is resumed, where it has k pairs within the tolerance and one Hessian
        product confirms that they belong to this loss at this iterate; otherwise the search starts from it.
    random_state : int
        Seed of the first start.
    progress : callable, optional
        Called with the number of iterates done and the total.

    Returns
    -------
    dict of int to Eigenspace
        By optimizer step.

    Raises
    ------
    InputError
        If a place is out of range.
    LayoutError
        If the trajectory's parameters are not the objective's.
    """
    objective = objective.along(trajectory)
    T = trajectory.n_iterates
    if at is None:
        at = even_places(T, check_count("n_at", n_at))
    places = check_array("at", at, (None,), dtype=np.int64).tolist()
    if not places or min(places) < 0 or max(places) >= T:
        raise InputError(worded("at", f"places in [0, {T - 1}]", f"{places}"))
    spaces = eigenspaces_along(
        objective, trajectory, k, places, tol=tol, order=order, method=method, out=out, random_state=random_state
    )
    return dict(counted(spaces, progress, len(places)))


def eigenspaces_along(
    objective: Objective,
    trajectory: Trajectory,
    k: int,
    places: Sequence[int] | Array,
    *,
    tol: float = 1e-2,
    order: Order = by_magnitude,
    method: str = "exact",
    out: str | os.PathLike[str] | None = None,
    known: Mapping[int, Eigenspace] = _NONE_KNOWN,
    random_state: int = 0,
) -> Iterator[tuple[int, Eigenspace]]:
    """Find the top eigenspaces at places of a run one after the other, as `eigenspace_path` does.

    Parameters
    ----------
    objective : Objective
        The loss along the run.
    trajectory : Trajectory
        The run.
    k : int
        Pairs.
    places : sequence of int
        Of the iterates.
    tol, order, method, out, random_state : optional
        As in `eigenspace_path`.
    known : mapping of int to Eigenspace
        By step those that are taken as they are.

    Yields
    ------
    step : int
        The optimizer step.
    space : Eigenspace
        Its eigenspace; each search starts from the one before.
    """
    before: Eigenspace | None = None
    for place in places:
        step = int(trajectory.steps[place])
        space = known.get(step)
        if space is None:
            theta, file = trajectory.theta(int(place)), None if out is None else Path(out) / f"{step}.npz"
            kept = Eigenspace.open(file) if file is not None and file.exists() else None
            if kept is not None and _still_holds(kept, objective, theta, k, tol, method):
                space = kept
            else:
                start = kept if kept is not None and kept.eigenvectors.shape[1] == objective.size else before
                space = top_eigenspace(
                    objective, theta, k, tol=tol, start=start, order=order, method=method, random_state=random_state
                )
                if file is not None:
                    _compact(space).save(file)
        before = space
        yield step, space


def _still_holds(kept: Eigenspace, objective: Objective, theta: Array, k: int, tol: float, method: str) -> bool:
    """Whether k pairs within the tolerance are those of the Hessian here, by one product with the sum of them all."""
    values, vectors = kept.eigenvalues, kept.eigenvectors
    if vectors.shape != (k, objective.size) or (kept.residuals > tol * np.abs(values)).any():
        return False
    together = objective.hessian(theta, method=method)(vectors.sum(axis=0))
    # what was found was kept in float32
    rounding = 64 * np.finfo(np.float32).eps * k * float(np.abs(values).max())
    return bool(np.linalg.norm(together - values @ vectors) <= float(kept.residuals.sum()) + rounding)


def _compact(space: Eigenspace) -> Eigenspace:
    vectors = space.eigenvectors.astype(np.float32)  # seven digits for a direction known to two digits
    return Eigenspace(space.eigenvalues, vectors, space.residuals, space.converged, space.n_products)


def grassmann_distance(A: Array, B: Array) -> float:
    """Geodesic distance of two subspaces: the square root of the sum of squared principal angles, in radians.

    Parameters
    ----------
    A, B : array-like, shape (k, P)
        Rows that span the subspaces.

    Returns
    -------
    float
        0 for equal subspaces, √k·π/2 for orthogonal ones.

    Examples
    --------
    >>> round(grassmann_distance([[1.0, 0, 0]], [[0.0, 1, 0]]), 6)
    1.570796
    """
    return float(np.linalg.norm(principal_angles(A, B)))


def displacement(spaces: dict[int, Eigenspace]) -> EigenspaceDrift:
    """How far the eigenspace moves between successive iterates, and from the first.

    Parameters
    ----------
    spaces : dict of int to Eigenspace
        By step.

    Returns
    -------
    EigenspaceDrift
        Overlaps and distances, one row an eigenspace after the first.
    """
    bases = [spaces[step].eigenvectors for step in sorted(spaces)]
    pairs = [(overlap(a, b), overlap(bases[0], b)) for a, b in itertools.pairwise(bases)]
    distances = [grassmann_distance(a, b) for a, b in itertools.pairwise(bases)]
    return EigenspaceDrift(np.array(pairs).reshape(-1, 2), np.array(distances))
