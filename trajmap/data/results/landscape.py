"""A grid of chart coordinates and the loss over it."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape
from trajmap.errors import InputError

__all__ = ["Grid", "Landscape"]


@dataclasses.dataclass(frozen=True, eq=False)
class Grid(Saved, rows=("*axes",)):
    """A rectangular grid in R^d; it owns its axis order.

    Parameters
    ----------
    axes : tuple of numpy.ndarray
        One strictly increasing axis a coordinate, of at least 2 values.

    Raises
    ------
    InputError
        If an axis is not finite, or not increasing.

    Examples
    --------
    >>> grid = Grid((np.array([0.0, 1.0]), np.array([5.0, 6.0, 7.0])))
    >>> grid.shape
    (2, 3)
    >>> grid.points[1]
    array([0., 6.])
    """

    axes: Annotated[tuple[Array, ...], Shape("d", None)]

    def _check(self) -> None:
        if not self.axes:
            raise InputError(worded("axes", "at least one axis", "none"))
        for axis in self.axes:
            if len(axis) < 2 or not np.isfinite(axis).all() or not np.all(np.diff(axis) > 0):
                raise InputError(worded("axes", "at least 2 finite, strictly increasing values an axis", axis))

    @classmethod
    def around(cls, Z: Array, n_points: int = 51, margin: float = 0.2) -> "Grid":
        """Span the bounding box of some coordinates, widened.

        Parameters
        ----------
        Z : array-like, shape (n_points, d)
            Coordinates, for example of a trajectory.
        n_points : int
            Values an axis.
        margin : float
            Widening on each side, as a part of the axis's range.

        Returns
        -------
        Grid
            The grid; an axis on which all coordinates agree gets a range of 1 around them.

        Raises
        ------
        InputError
            If the coordinates are not a finite (n_points, d) array.
        """
        Z = check_array("Z", Z, (None, None), dtype=np.float64)
        n_points, margin = check_count("n_points", n_points, low=2), check_positive("margin", margin, zero=True)
        if not np.isfinite(Z).all():
            raise InputError(worded("Z", "finite coordinates", "NaN or inf"))
        low, high = Z.min(axis=0), Z.max(axis=0)
        flat = high - low <= 1e-12 * np.maximum(np.abs(low), np.abs(high))
        low, high = np.where(flat, low - 0.5, low), np.where(flat, high + 0.5, high)
        pad = margin * (high - low)
        return cls(tuple(np.linspace(a, b, n_points) for a, b in zip(low - pad, high + pad, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values on each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def ndim(self) -> int:
        """d, the number of axes."""
        return len(self.axes)

    @property
    def points(self) -> Array:
        """All grid points, shape (∏nᵢ, d), the last axis fastest: ``values.ravel()[i]`` is at ``points[i]``."""
        return np.stack([part.ravel() for part in np.meshgrid(*self.axes, indexing="ij")], axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Landscape(Saved, rows=("*grid",)):
    """The loss over a chart, and the path through it.

    Parameters
    ----------
    grid : Grid
        Chart coordinates.
    values : numpy.ndarray, shape grid.shape
        Loss of the lifted grid points; NaN and inf are kept.
    path : numpy.ndarray, shape (T, d), or None
        Chart coordinates of the iterates.
    path_values : numpy.ndarray, shape (T,), or None
        Loss of the iterates themselves (not of their lifts).
    lifted_values : numpy.ndarray, shape (T,), or None
        Loss of the iterates' lifts: minus `path_values` it is the lift gap.
    distance : numpy.ndarray, shape grid.shape, or None
        Distance in R^P of each lifted grid point from the nearest iterate.
    support : numpy.ndarray of bool, shape grid.shape, or None
        True where `distance` ≤ `reach`: where the run is evidence for the cell.
    reach : float
        The largest supported distance; NaN where there is no path.
    metrics : dict of str to numpy.ndarray of shape grid.shape
        Further quantities over the grid.
    name : str
        Name of the chart, for titles.
    labels : list of str
        What each axis measures: its unit in parameter distance, or the variance it holds and what chance would.
    residuals : numpy.ndarray, shape (T,), or None
        Distance of each iterate from its own lift: how far off the chart the path runs.
    rank_ratio : float
        Median σ_d/σ₁ of the lift's Jacobian over supported cells, axes scaled to the picture; near 0 the picture
        shows a curve, stretched.
    area : float
        Parameter area of the supported cells; NaN unless there are two axes and a path.
    spread : float
        How the area grows when the reach is doubled, as a power of two: near 1 a band around a curve widens, near 0
        a surface is filled already.
    strategy : str
        How the loss was evaluated.
    runs : dict of str to int
        Where the path is of several runs, one after the other: their names, and how many iterates each has.
    scale : numpy.ndarray, shape (d,), or None
        Parameter distance of a unit along each axis: exact on a plane, the median over the supported cells on a
        curved chart. A picture whose axes are drawn in these units shows distances as they are.
    """

    grid: Grid
    values: Annotated[Array, Shape("*grid")]
    path: Annotated[Array, Shape("T", "d")] | None = None
    path_values: Annotated[Array, Shape("T")] | None = None
    lifted_values: Annotated[Array, Shape("T")] | None = None
    distance: Annotated[Array, Shape("*grid")] | None = None
    support: Annotated[Array, Shape("*grid", dtype=bool)] | None = None
    reach: float = float("nan")
    metrics: Annotated[dict[str, Array], Shape("*grid")] = dataclasses.field(default_factory=dict)
    name: str = ""
    labels: list[str] = dataclasses.field(default_factory=list)
    residuals: Annotated[Array, Shape("T")] | None = None
    rank_ratio: float = float("nan")
    area: float = float("nan")
    spread: float = float("nan")
    strategy: str = ""
    runs: dict[str, int] = dataclasses.field(default_factory=dict)
    scale: Annotated[Array, Shape("d")] | None = None

    def _check(self) -> None:
        length = None if self.path is None else len(self.path)
        if self.runs and sum(self.runs.values()) != length:
            raise InputError(worded("runs", f"{length} iterates, as the path has", f"{sum(self.runs.values())}"))

    @property
    def axis_labels(self) -> list[str]:
        """One label an axis, plain ones where none were given."""
        plain = [f"coordinate {i + 1}" for i in range(self.grid.ndim)]
        return self.labels if len(self.labels) == self.grid.ndim else plain

    @property
    def extents(self) -> Array | None:
        """Length of each axis of the grid in parameter distance, shape (d,); None where the scale is not known."""
        if self.scale is None or not (np.isfinite(self.scale) & (self.scale > 0)).all():
            return None
        return self.scale * np.array([np.ptp(axis) for axis in self.grid.axes])

    @property
    def paths(self) -> dict[str, slice]:
        """Where in `path` each run is, by name: one without a name where there is one run, none without a path."""
        if self.path is None:
            return {}
        if not self.runs:
            return {"": slice(0, len(self.path))}
        ends = np.cumsum(list(self.runs.values()))
        return {name: slice(int(end) - n, int(end)) for (name, n), end in zip(self.runs.items(), ends, strict=True)}

    @property
    def is_a_curve(self) -> bool:
        """Whether the supported part is a band around the path: one run, seen as a surface."""
        return bool(self.spread > 0.5)
