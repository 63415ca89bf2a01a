"""A flat chart: an origin and d directions. It needs no fit."""

import dataclasses
from typing import Annotated, Any

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.data.archive import Saved
from trajmap.data.frame import Frame, stretches
from trajmap.data.results.landscape import Grid
from trajmap.data.shapes import Shape
from trajmap.data.store.iterates import Iterates
from trajmap.errors import InputError

__all__ = ["Plane"]


@dataclasses.dataclass(frozen=True, eq=False)
class Plane(Saved, rows=("P",)):
    """The chart z ↦ origin + z·directions and its least-squares inverse.

    Directions need not be orthogonal or of unit length: `transform` solves the least-squares problem, so
    ``transform(inverse_transform(z)) == z``.

    Parameters
    ----------
    origin : numpy.ndarray, shape (P,)
        The point at z = 0.
    directions : numpy.ndarray, shape (d, P)
        Linearly independent rows.
    name : str
        Its name for titles.

    Raises
    ------
    InputError
        If shapes differ, entries are not finite, or the directions are linearly dependent.

    Examples
    --------
    >>> plane = Plane(np.zeros(3), np.array([[1.0, 0, 0], [1, 1, 0]]))
    >>> plane.transform(np.array([[2.0, 1, 5]]))
    array([[1., 1.]])
    """

    origin: Annotated[Array, Shape("P", dtype=None)]
    directions: Annotated[Array, Shape("d", "P", dtype=None)]
    name: str = "plane"

    def _check(self) -> None:
        for name, value in (("origin", self.origin), ("directions", self.directions)):
            # a sum is finite only if every number is, and needs no temporary array
            with np.errstate(invalid="ignore", over="ignore"):
                total = np.sum(value, dtype=np.float64)
            if not np.isfinite(total) and not np.isfinite(value).all():
                raise InputError(worded(name, "finite numbers", "NaN or inf"))
        gram = self.frame().gram()
        scales = np.sqrt(np.diag(gram))
        # 1e-6 of the unit directions' condition: below it float32 coordinates carry no digit
        if not scales.all() or np.linalg.eigvalsh(gram / np.outer(scales, scales))[0] < 1e-12:
            raise InputError(worded("directions", "linearly independent rows", "a zero or dependent one"))

    @property
    def n_components(self) -> int:
        """d, the number of directions."""
        return len(self.directions)

    def frame(self) -> Frame:
        """Origin and directions: a point of the plane is their combination."""
        return Frame(self.origin, self.directions)

    def coefficients(self, Z: Array) -> Array:
        """Coefficients of points in the frame, (n, d) → (n, d): the coordinates themselves."""
        return check_array("Z", Z, (None, self.n_components), dtype=np.float64)

    def grid(self, radius: float = 1.0, n_points: int = 51) -> Grid:
        """Span the plane around its origin in units of the origin's norm.

        Parameters
        ----------
        radius : float
            At the end of an axis the parameters have moved by ``radius·‖origin‖``.
        n_points : int
            Values per axis; an odd number includes the origin.

        Returns
        -------
        Grid
            The grid, in the plane's coordinates.

        Raises
        ------
        InputError
            If the origin is zero, or an argument is out of range.
        """
        norm = float(np.linalg.norm(self.origin.astype(np.float64)))
        if norm == 0:
            raise InputError(worded("origin", "a point other than zero for a range in its norms", "zero"))
        reach = check_positive("radius", radius) * norm / np.sqrt(np.diag(self.frame().gram()))
        return Grid(tuple(np.linspace(-a, a, check_count("n_points", n_points, low=2)) for a in reach))

    def transform(self, thetas: Any) -> Array:
        """Coordinates of the nearest points of the plane.

        Parameters
        ----------
        thetas : Iterates or array-like, shape (n, P)
            Points; lazy ones are read in ranges of columns.

        Returns
        -------
        numpy.ndarray, shape (n, d)
            Coordinates, float64.

        Raises
        ------
        InputError
            If the points are in another space.
        """
        X = thetas if isinstance(thetas, Iterates) else check_array("thetas", thetas, (None, len(self.origin)))
        if X.shape[1] != len(self.origin):
            raise InputError(worded("thetas", f"shape (any, {len(self.origin)})", f"{X.shape}"))
        products = np.zeros((len(X), self.n_components))
        for columns in stretches(len(X) + self.n_components, len(self.origin)):
            shifted = np.asarray(X[:, columns], dtype=np.float64) - self.origin[columns]
            products += shifted @ self.directions[:, columns].T.astype(np.float64, copy=False)
        return np.linalg.solve(self.frame().gram(), products.T).T

    def inverse_transform(self, Z: Array) -> Array:
        """Points of the plane at some coordinates.

        Parameters
        ----------
        Z : array-like, shape (n, d)
            Coordinates.

        Returns
        -------
        numpy.ndarray, shape (n, P)
            Points, float64.
        """
        return self.frame().points(self.coefficients(Z))
