"""The charts the command line knows by name: fitted to a run once, kept, and loaded by every verb."""

import functools
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline

from trajmap import reduction
from trajmap._registry import members
from trajmap._validation import Array, worded
from trajmap.cli._results import package_versions
from trajmap.data.chart_state import ChartState
from trajmap.data.stamp import Stamp
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, RunFormatError
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.chart import CHART
from trajmap.reduction._base import Embedding
from trajmap.reduction.rowspace import RowSpace
from trajmap.reduction.state import restore, state_of

__all__ = ["DEFAULTS", "EMBEDDINGS", "SLOW", "fit_chart", "fit_on", "fit_row_space", "load_chart", "open_run"]


def _offered() -> dict[str, type[Embedding]]:
    """List the embeddings of the family that have a word on the command line."""
    classes = [member for member in members(reduction).values() if inspect.isclass(member)]
    return {member.word: member for member in classes if issubclass(member, Embedding) and member.word}


def _maker(member: type[Embedding]) -> Callable[[int], Any]:
    seeded = "random_state" in inspect.signature(member).parameters

    def make(seed: int) -> Any:
        return member(**({"n_components": 2} | ({"random_state": seed} if seeded else {})))

    return make


EMBEDDINGS: dict[str, Callable[[int], Any]] = {
    "pca": lambda seed: PCA(n_components=2, svd_solver="full"),
    **{word: _maker(member) for word, member in _offered().items()},
}
DEFAULTS = ("pca", *(word for word, member in _offered().items() if not member.extra))
SLOW = tuple(word for word, member in _offered().items() if member.slow)


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
    """Row space of a run and the coordinates of its iterates: loaded where it is kept, otherwise fitted and kept."""
    trajectory = open_run(folder)
    space = _load(folder, "rowspace", trajectory.iterates)
    if space is None:
        # a lift need not be more exact than the weights were
        fitted = RowSpace(lift_dtype=trajectory.iterates.dtype).fit(trajectory.iterates)
        space = _keep(folder, "rowspace", fitted, trajectory.iterates)
    return space, space.embedding_


@functools.cache
def load_chart(folder: Path, name: str, seed: int) -> Any:
    """Load the chart that ``trajmap embed`` kept, so that all verbs speak of one fit; fit and keep it where none is.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    name : str
        One of `EMBEDDINGS`.
    seed : int
        Seed of the fit, where there is none to load.

    Returns
    -------
    chart
        Something with ``transform`` and ``inverse_transform`` between R^P and R².

    Raises
    ------
    RunFormatError
        If the chart that is kept is of a shorter run, of another row space, or damaged.
    """
    space, _ = fit_row_space(folder)
    reason = _stale(folder, name)
    if reason:
        repair = f"repair: trajmap embed {folder} --charts {name}"
        raise RunFormatError(
            f"{Artefacts.of(folder).path(CHART, name)}: expected a chart of the run, but {reason}; {repair}"
        )
    embedding = _load(folder, name)
    return fit_chart(folder, name, seed) if embedding is None else Pipeline([("rowspace", space), (name, embedding)])


def fit_chart(folder: Path, name: str, seed: int) -> Any:
    """Fit a chart to a run and keep it; what comes back was made of what was kept.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    name : str
        One of `EMBEDDINGS`.
    seed : int
        Seed of the fit.

    Returns
    -------
    chart
        As `load_chart` will load it.
    """
    space, X = fit_row_space(folder)
    fitted = _fitted(name, seed, X)
    return Pipeline([("rowspace", space), (name, _keep(folder, name, fitted, seed=seed))])


def fit_on(folder: Path, name: str, seed: int, rows: Array | slice) -> Any:
    """Fit a chart to some iterates of a run: the row space only turns axes, so the others stay unseen."""
    space, X = fit_row_space(folder)
    return Pipeline([("rowspace", space), (name, _fitted(name, seed, X[rows]))])


def _fitted(name: str, seed: int, X: Array) -> Any:
    if X.shape[1] < 2:
        got = "iterates on a straight line" if X.shape[1] else "equal ones"
        raise InputError(worded("run", "iterates that span two dimensions", got, "there is no picture of it to make"))
    return EMBEDDINGS[name](seed).fit(X)


def _stale(folder: Path, name: str) -> str:
    artefacts = Artefacts.of(folder)
    return artefacts.stale(CHART, name, open_run(folder)) if artefacts.path(CHART, name).exists() else ""


def _load(folder: Path, name: str, points: Any = None) -> Any:
    """Bring back a fit that belongs to the run as it is; None where there is none."""
    if _stale(folder, name):
        return None
    kept = Artefacts.of(folder).one(CHART, name)
    return None if kept is None else restore(kept.state, points)


def _keep(folder: Path, name: str, fitted: Any, points: Any = None, *, seed: int = 0) -> Any:
    """Keep a fit, and make it again of what was kept: so the verb that fits sees the bits that others will load."""
    artefacts, trajectory = Artefacts.of(folder), open_run(folder)
    inputs = artefacts.inputs(CHART, "rowspace") if name != "rowspace" else {}
    stamp = Stamp.of(
        trajectory, "embed", settings={"chart": name, "seed": seed}, inputs=inputs, versions=package_versions()
    )
    kept = ChartState(state_of(fitted), name)
    artefacts.save(CHART, kept, name, stamp=stamp)
    return restore(kept.state, points)
