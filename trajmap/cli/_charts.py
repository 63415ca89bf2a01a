"""The charts of the command line, by name, fitted to a run."""

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline

from trajmap._validation import Array, worded
from trajmap.data.artefacts import Artefacts
from trajmap.data.reduction import Reduction
from trajmap.data.trajectory import Trajectory
from trajmap.directions.random import random_plane
from trajmap.errors import InputError, RunFormatError
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.phate import Phate
from trajmap.reduction.rowspace import RowSpace
from trajmap.reduction.umap import UMAP

__all__ = ["CHARTS", "DEFAULTS", "EMBEDDINGS", "fit_chart", "fit_on", "fit_row_space", "open_run"]

EMBEDDINGS: dict[str, Callable[[int], Any]] = {
    "pca": lambda seed: PCA(n_components=2, svd_solver="full"),
    "autoencoder": lambda seed: Autoencoder(n_components=2, random_state=seed),
    "diffusion": lambda seed: DiffusionMap(n_components=2),
    "umap": lambda seed: UMAP(n_components=2, random_state=seed),
    "phate": lambda seed: Phate(n_components=2, random_state=seed),
}
DEFAULTS = ("pca", "autoencoder", "diffusion", "umap")  # the others need an extra
CHARTS = (*EMBEDDINGS, "random", "hessian")


@functools.cache
def open_run(folder: Path) -> Trajectory:
    """Open a run once; iterates with NaN or inf are left out, with a word."""
    trajectory = Trajectory.open(folder)
    n_nonfinite = int((~trajectory.is_finite).sum())
    if not n_nonfinite:
        return trajectory
    message = f"{folder}: {n_nonfinite} of {trajectory.n_iterates} iterates hold NaN or inf and are left out"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    return trajectory.finite()


@functools.cache
def fit_row_space(folder: Path) -> tuple[Any, Any]:
    """Row space of a run and the coordinates of its iterates; one pass over the store a process."""
    iterates = open_run(folder).iterates
    space = RowSpace(lift_dtype=iterates.dtype)  # a lift need not be more exact than the weights were
    return space, space.fit_transform(iterates)


@functools.cache
def fit_chart(folder: Path, name: str, seed: int) -> Any:
    """Fit a chart by name.

    Fits are deterministic, so a verb refits what an earlier one has shown instead of unpickling it, and
    compares with the stored coordinates.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    name : str
        One of `CHARTS`.
    seed : int
        Seed of the fit.

    Returns
    -------
    chart
        Something with ``transform`` and ``inverse_transform`` between R^P and R².

    Raises
    ------
    RunFormatError
        If the stored embedding is not what the fit gives now.
    """
    trajectory = open_run(folder)
    if name == "random":
        return random_plane(trajectory, trajectory.theta(-1), random_state=seed)
    space, X = fit_row_space(folder)
    embedding = _fitted(name, seed, X)
    path = Artefacts.of(folder).path("embeddings", name)
    if path.exists():
        stored = Reduction.open(path)
        Z = embedding.transform(X)
        # 1e-4 of the range: the same fit on another machine's BLAS
        if stored.Z.shape != Z.shape or np.abs(stored.Z - Z).max() > 1e-4 * np.ptp(stored.Z):
            raise RunFormatError(
                f"{path}: expected the coordinates a fit with seed {seed} gives, got others; "
                "repair: trajmap embed again, or pass the same --seed"
            )
    return Pipeline([("rowspace", space), (name, embedding)])


def fit_on(folder: Path, name: str, seed: int, rows: Array | slice) -> Any:
    """Fit a chart to some iterates of a run: the row space only turns axes, so the others stay unseen."""
    space, X = fit_row_space(folder)
    return Pipeline([("rowspace", space), (name, _fitted(name, seed, X[rows]))])


def _fitted(name: str, seed: int, X: Array) -> Any:
    if X.shape[1] < 2:
        got = "iterates on a straight line" if X.shape[1] else "equal ones"
        raise InputError(worded("run", "iterates that span two dimensions", got, "there is no picture of it to make"))
    return EMBEDDINGS[name](seed).fit(X)
