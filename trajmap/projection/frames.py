"""Charts whose lifts are combinations of a few fixed vectors."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from trajmap._validation import Array, check_array, worded
from trajmap.data.frame import Frame, stretches
from trajmap.data.gram import column_blocks
from trajmap.errors import InputError
from trajmap.projection.chart import chart_steps

__all__ = [
    "Combinable",
    "Combination",
    "Framed",
    "Remembering",
    "frame_coefficients",
    "framed",
    "is_isometric",
    "reduced",
    "remembered",
    "require_size",
]


@runtime_checkable
class Framed(Protocol):
    """A chart, or its first step, whose lift of z is ``frame().points(coefficients(z))``."""

    def frame(self) -> Frame:
        """Origin (P,) and basis (m, P)."""

    def coefficients(self, Z: Any, /) -> Array:
        """Coefficients of the basis, (n, d) → (n, m)."""


@runtime_checkable
class Remembering(Protocol):
    """A row space: isometric coordinates, known for the iterates of its fit."""

    embedding_: Array
    residuals_: Array

    def fitted_places(self, X: Any, /) -> Array | None:
        """Places of iterates among the fitted ones; None if they are different."""


@runtime_checkable
class Combinable(Protocol):
    """A lazy basis that can combine its rows without computing each of them."""

    def combined(self, weights: Array, dtype: Any, /) -> Any:
        """Basis of the rows ``weights @ basis``."""


@runtime_checkable
class _Principal(Protocol):
    """A fitted PCA of scikit-learn, or an object with the same lift."""

    mean_: Array
    components_: Array
    explained_variance_: Array
    whiten: bool


class _PrincipalFrame:
    """The frame of a PCA on points of R^P."""

    def __init__(self, chart: _Principal) -> None:
        self._chart = chart

    def frame(self) -> Frame:
        """Mean and components."""
        return Frame(self._chart.mean_, self._chart.components_, orthonormal=True)

    def coefficients(self, Z: Any, /) -> Array:
        """Coordinates in units of the components."""
        C = check_array("Z", Z, (None, len(self._chart.components_)), dtype=np.float64)
        return C * np.sqrt(self._chart.explained_variance_) if self._chart.whiten else C


class _Chain:
    """The frame of a pipeline's first step, and coefficients by the lifts of all others."""

    def __init__(self, first: Framed, rest: list[Any]) -> None:
        self.first, self._rest = first, rest

    def frame(self) -> Frame:
        """Return the frame of the first step."""
        return self.first.frame()

    def coefficients(self, Z: Any, /) -> Array:
        """Lift to the first step's coordinates, beginning with the last step."""
        for step in reversed(self._rest):
            Z = step.inverse_transform(Z)
        return self.first.coefficients(Z)


def framed(chart: Any) -> Framed | None:
    """Return the framed view of a chart, or None for a chart that only lifts whole points.

    Planes, row spaces, pipelines that begin with a row space, fitted PCAs, and all charts with the two methods of
    `Framed` have a frame.

    Parameters
    ----------
    chart : Chart
        The chart.

    Returns
    -------
    Framed or None
        An object with frame and coefficients.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> X = np.random.default_rng(0).normal(size=(20, 5))
    >>> known = framed(PCA(2).fit(X))
    >>> known.frame().n_vectors, known.coefficients([[3.0, 4.0]]).tolist()
    (2, [[3.0, 4.0]])
    """
    if isinstance(chart, Framed):
        return chart
    if isinstance(chart, _Principal):
        return _PrincipalFrame(chart)
    first, *rest = chart_steps(chart) or [None]
    known = None if first is None else framed(first)
    return known if known is None or not rest else _Chain(known, rest)


def frame_coefficients(known: Framed, frame: Frame, Z: Array) -> Array:
    """Coefficients of coordinates, checked, in float64."""
    return check_array("chart.coefficients(Z)", known.coefficients(Z), (len(Z), frame.n_vectors), dtype=np.float64)


class Combination:
    """Rows W·basis, computed for requested columns: a lazy frame of fewer vectors.

    Parameters
    ----------
    weights : numpy.ndarray, shape (k, m)
        W.
    basis : numpy.ndarray or lazy matrix, shape (m, P)
        The vectors.
    dtype : numpy.dtype
        dtype of the rows.
    """

    ndim = 2

    def __init__(self, weights: Array, basis: Any, dtype: Any) -> None:
        self._weights, self._basis = weights, basis
        self.dtype = np.dtype(dtype)
        self.shape = (len(weights), int(basis.shape[1]))

    def __getitem__(self, key: tuple[slice, slice]) -> Array:
        weights = self._weights[key[0]]
        start, stop, _ = key[1].indices(self.shape[1])
        out = np.empty((len(weights), stop - start), self.dtype)
        # a range at a time, because the basis may have many more rows than are requested
        for part in column_blocks(stop - start, next(stretches(self._basis.shape[0], self.shape[1])).stop):
            vectors = np.asarray(self._basis[:, start + part.start : start + part.stop])
            out[:, part] = weights @ vectors.astype(np.float64, copy=False)
        return out


def reduced(frame: Frame, coefficients: Array, dtype: Any) -> tuple[Frame, Array]:
    """Find the few vectors that some points need, for example the two of a principal plane in a row space.

    Directions of the coefficients along which every point moves less than rounding are dropped: ε of the points' dtype
    times their root mean square coefficient.

    Parameters
    ----------
    frame : Frame
        The frame.
    coefficients : numpy.ndarray, shape (n, m)
        Coefficients of the points; rows with NaN or inf are excluded from the search.
    dtype : numpy.dtype
        dtype of the points, and of the rows of a computed basis.

    Returns
    -------
    frame : Frame
        A frame of k ≤ m vectors with the same origin.
    turn : numpy.ndarray, shape (m, k)
        New coefficients are ``coefficients @ turn``.

    Examples
    --------
    >>> line = np.outer(np.arange(3.0), [3.0, 4.0, 0.0])
    >>> few, turn = reduced(Frame(np.zeros(5), np.eye(3, 5)), line, np.float64)
    >>> few.n_vectors, few.points(line @ turn)[2].round(9).tolist()
    (1, [6.0, 8.0, 0.0, 0.0, 0.0])
    """
    m = frame.n_vectors
    finite = coefficients[np.isfinite(coefficients).all(axis=1)]
    if not len(finite):
        return frame, np.eye(m)
    # the right singular vectors from the small square factor, because n may be large
    _, values, axes = np.linalg.svd(np.linalg.qr(finite, mode="r"))
    floor = max(len(finite), m) * np.finfo(np.float64).eps * values[0]
    # a row moves at most by a dropped direction's singular value
    tolerance = max(floor, float(np.finfo(dtype).eps) * values[0] / np.sqrt(len(finite)))
    keep = max(int(np.sum(values > tolerance)), 1)
    if keep >= m:
        return frame, np.eye(m)
    basis = frame.basis
    lazy = isinstance(basis, Combinable)
    few = basis.combined(axes[:keep], dtype) if lazy else Combination(axes[:keep], basis, dtype)
    return Frame(frame.origin, few, orthonormal=frame.orthonormal), axes[:keep].T


def is_isometric(known: Framed) -> bool:
    """Whether distances between coefficients equal those between points, as for a chart on a row space."""
    first: object = known.first if isinstance(known, _Chain) else known
    return isinstance(first, Remembering)


def remembered(known: Framed, iterates: Any) -> tuple[Array, Array] | None:
    """Coefficients (T, m) and distances from the span (T,) of iterates to which a chart's row space was fitted."""
    first: object = known.first if isinstance(known, _Chain) else known
    if not isinstance(first, Remembering):
        return None
    places = first.fitted_places(iterates)
    return None if places is None else (first.embedding_[places], first.residuals_[places])


def require_size(frame: Frame, size: int) -> None:
    """Check that a frame's points are in the objective's space."""
    if frame.size != size:
        raise InputError(worded("chart.inverse_transform(Z)", f"shape (1, {size})", f"(1, {frame.size})"))
