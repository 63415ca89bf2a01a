"""A flat chart: an origin and d directions. It needs no fit."""

import dataclasses

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.data.archive import Saved
from trajmap.data.landscape import Grid
from trajmap.errors import InputError

__all__ = ["Plane"]


@dataclasses.dataclass(frozen=True, eq=False)
class Plane(Saved):
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
        What made it, for titles.

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

    origin: Array
    directions: Array
    name: str = "plane"

    def __post_init__(self) -> None:
        self._keep("origin", (None,), dtype=None)
        self._keep("directions", (None, len(self.origin)), dtype=None)
        for name, value in (("origin", self.origin), ("directions", self.directions)):
            if not np.isfinite(value).all():
                raise InputError(worded(name, "finite numbers", "NaN or inf"))
        scales = np.linalg.norm(self.directions.astype(np.float64), axis=1)
        # 1e-6 of the unit directions' condition: below it float32 coordinates carry no digit
        if not scales.all() or self._gram_eigenvalues(scales)[0] < 1e-12:
            raise InputError(worded("directions", "linearly independent rows", "a zero or dependent one"))

    def _gram_eigenvalues(self, scales: Array) -> Array:
        unit = self.directions / scales[:, None]
        eigenvalues: Array = np.linalg.eigvalsh(unit.astype(np.float64) @ unit.T.astype(np.float64))
        return eigenvalues

    @property
    def n_components(self) -> int:
        """d, the number of directions."""
        return len(self.directions)

    def grid(self, radius: float = 1.0, n: int = 51) -> Grid:
        """Span the plane around its origin in units of the origin's norm.

        Parameters
        ----------
        radius : float
            At the end of an axis the parameters have moved by ``radius·‖origin‖``.
        n : int
            Values an axis; an odd number hits the origin.

        Returns
        -------
        Grid
            In the plane's coordinates.

        Raises
        ------
        InputError
            If the origin is zero, or an argument is out of range.
        """
        norm = float(np.linalg.norm(self.origin.astype(np.float64)))
        if norm == 0:
            raise InputError(worded("origin", "a point other than zero for a range in its norms", "zero"))
        reach = check_positive("radius", radius) * norm / np.linalg.norm(self.directions.astype(np.float64), axis=1)
        return Grid(tuple(np.linspace(-a, a, check_count("n", n, low=2)) for a in reach))

    def transform(self, thetas: Array) -> Array:
        """Coordinates of the nearest points of the plane.

        Parameters
        ----------
        thetas : array-like, shape (n, P)
            Points.

        Returns
        -------
        numpy.ndarray, shape (n, d)
            Coordinates, float64.
        """
        shifted = np.asarray(thetas, dtype=np.float64) - self.origin
        shifted = check_array("thetas", shifted, (None, len(self.origin)))
        directions = self.directions.astype(np.float64)
        gram = directions @ directions.T
        coordinates: Array = np.linalg.solve(gram, directions @ shifted.T).T
        return coordinates

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
        Z = check_array("Z", Z, (None, self.n_components), dtype=np.float64)
        points: Array = self.origin + Z @ self.directions.astype(np.float64)
        return points
