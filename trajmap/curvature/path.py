"""The top eigenspace at many iterates of a run, each search started from the one before, and how far it moves."""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from trajmap._validation import Array, check_array, check_count, worded
from trajmap.curvature.angles import overlap, principal_angles
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import Order, by_magnitude
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.eigenspace_drift import EigenspaceDrift
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective

__all__ = ["displacement", "eigenspace_path", "grassmann_distance"]


def eigenspace_path(
    objective: Objective,
    trajectory: Trajectory,
    k: int = 10,
    *,
    at: Sequence[int] | Array | None = None,
    n_at: int = 8,
    tol: float = 1e-2,
    order: Order = by_magnitude,
    out: str | os.PathLike[str] | None = None,
    random_state: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, Eigenspace]:
    """Find the top eigenspace along a run.

    Parameters
    ----------
    objective : Objective
        The loss.
    trajectory : Trajectory
        The run.
    k : int
        Pairs.
    at : sequence of int, optional
        Places of the iterates; `n_at` even ones by default.
    n_at : int
        Number of iterates when `at` is not given.
    tol : float
        Relative residual.
    order : callable
        Which end of the spectrum.
    out : path-like, optional
        Folder that keeps each eigenspace, vectors in float32, as ``<step>.npz``; those that are there with the same k
        are not found again, so a killed search goes on.
    random_state : int
        Seed of the first start.
    progress : callable, optional
        Called with the iterates done and their number.

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
        at = np.unique(np.linspace(0, T - 1, check_count("n_at", n_at)).round().astype(int))
    places = check_array("at", at, (None,), dtype=np.int64).tolist()
    if not places or min(places) < 0 or max(places) >= T:
        raise InputError(worded("at", f"places in [0, {T - 1}]", f"{places}"))
    found: dict[int, Eigenspace] = {}
    before: Eigenspace | None = None
    for done, place in enumerate(places):
        step = int(trajectory.steps[place])
        file = None if out is None else Path(out) / f"{step}.npz"
        space = Eigenspace.open(file) if file is not None and file.exists() else None
        if space is None or space.k != k:
            space = top_eigenspace(
                objective, trajectory.theta(place), k, tol=tol, start=before, order=order, random_state=random_state
            )
            if file is not None:
                _compact(space).save(file)
        found[step] = before = space
        if progress is not None:
            progress(done + 1, len(places))
    return found


def _compact(space: Eigenspace) -> Eigenspace:
    vectors = space.eigenvectors.astype(np.float32)  # seven digits of a direction known to two
    return Eigenspace(space.eigenvalues, vectors, space.residuals, space.converged, space.n_products)


def grassmann_distance(A: Array, B: Array) -> float:
    """Geodesic distance of two subspaces: the root of the summed squared principal angles, in radians.

    Parameters
    ----------
    A, B : array-like, shape (k, P)
        Rows that span the subspaces.

    Returns
    -------
    float
        0 for one subspace, √k·π/2 for orthogonal ones.

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
