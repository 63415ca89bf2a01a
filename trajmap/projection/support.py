"""Support of lifted points by a run: their distance from the iterates, and its limit."""

from typing import Any

import numpy as np

from trajmap._validation import Array, check_count
from trajmap.data.frame import Frame, stretches
from trajmap.data.gram import column_blocks, gram_distances
from trajmap.projection.frames import Framed, reduced, remembered
from trajmap.projection.lift_maps import gram_factors

__all__ = ["PathGeometry"]

# a frame of more vectors is first reduced to those that the lifted points need
_FEW = 8
# products in float32 have only six digits; over this many columns rounding averages out
_MANY_COLUMNS = 2**17
# multiplications that take about a tenth of a second; smaller runs are read even if a row space knows the coordinates
_CHEAP = 3e8
# a squared norm that is a difference of larger ones is recomputed below this fraction of them
_CANCELLED = 1e-4


class PathGeometry:
    """Distances of lifted points in R^P from the iterates of a run, and of the iterates from each other.

    If the chart has a frame, an iterate is represented by its coordinates in the frame's span and its distance from the
    span, from one pass over the run. A lifted point's distances then need only vectors of the frame's length, not of
    length P. The distances of iterates from a span that almost contains them are computed in a second pass as norms of
    differences, so that small ones are accurate. A large run to which the chart was fitted is not read at all: its row
    space has the coordinates, up to the rounding of its Gram matrix (in float64 a direction of relative extent 1e-5 has
    an error of a few times 1e-6).

    Parameters
    ----------
    iterates : Iterates or array-like, shape (T, P)
        The run.
    known : Framed, optional
        The chart, if it has a frame.
    coefficients : numpy.ndarray, shape (n, m), optional
        With `known`, the coefficients of the lifted points whose distances are needed.
    n_blocks : int
        Contiguous blocks of time for `reach`.
    reach : bool
        Whether distances between the iterates are needed; without them `reach` and `variance` are NaN.

    Attributes
    ----------
    reach : float
        Median over the iterates of the distance to the nearest iterate outside their own time block: a point is
        supported if it is no farther from the run than held-out blocks of the run are from the rest.
    variance : float
        Mean squared distance of the iterates from their mean.

    Examples
    --------
    >>> line = np.outer(np.arange(20.0), [0.6, 0.8])
    >>> path = PathGeometry(line, n_blocks=10)
    >>> round(path.reach, 9), path.nearest(np.array([[0.8, -0.6]])).round(6).tolist()
    (1.0, [1.0])
    """

    def __init__(
        self,
        iterates: Any,
        known: Framed | None = None,
        coefficients: Array | None = None,
        *,
        n_blocks: int = 10,
        reach: bool = True,
    ) -> None:
        self._iterates = iterates
        self._n_blocks = check_count("n_blocks", n_blocks, low=2)
        self._into, self._lifted = np.empty((0, 0)), np.empty((0, 0))
        self._onto: Array | None = None
        self._coordinates, self._off = np.empty((len(iterates), 0)), np.zeros(len(iterates))
        self.reach = self.variance = float("nan")
        apart = None
        if known is not None and coefficients is not None:
            apart = self._frame(known, coefficients, pairs=reach)
        elif reach:
            apart = gram_distances(_pass(iterates, None)[0])
        if apart is not None:
            self.variance = float(np.sum(apart**2) / (2 * len(apart) ** 2))
            self.reach = self._reach(apart)

    def _reach(self, distances: Array) -> float:
        T = len(distances)
        block = np.arange(T) * min(self._n_blocks, T) // T
        distances[block[:, None] == block[None, :]] = np.inf
        return float(np.median(distances.min(axis=1)))

    def _frame(self, known: Framed, C: Array, *, pairs: bool) -> Array | None:
        """Find coordinates of iterates and lifted points, and the distances between iterates."""
        frame = known.frame()
        memory = remembered(known, self._iterates)
        T, P = self._iterates.shape
        if memory is not None and T * frame.n_vectors * P >= _CHEAP:
            self._coordinates, self._off = memory
            self._into, self._lifted = np.eye(frame.n_vectors), C
            if not pairs:
                return None
            return _pairwise(memory[0]) if not self._off.any() else gram_distances(_pass(self._iterates, None)[0])
        turn = np.eye(frame.n_vectors)
        if frame.n_vectors > _FEW:
            frame, turn = reduced(frame, C, np.float64)
        factor, self._onto = gram_factors(frame.gram())
        self._into = turn @ factor
        gram, products, squares = _pass(self._iterates, frame, pairs=pairs)
        self._coordinates = products @ self._onto
        rest = squares - np.sum(self._coordinates**2, axis=1)
        lost = rest <= _CANCELLED * squares
        rest[lost] = _residuals(self._iterates, frame, self._coordinates @ self._onto.T, lost)
        self._off = np.sqrt(rest)
        self._lifted = C @ self._into
        return gram_distances(gram) if pairs else None

    def take_projections(self) -> Array:
        """Coefficients of the iterates' projections on an unreduced frame, together with those of the lifted points."""
        assert self._onto is not None
        found = self._coordinates @ self._onto.T
        self._lifted = np.concatenate([self._lifted, found @ self._into])
        return found

    def of_lifted(self, start: int = 0, stop: int | None = None) -> Array:
        """Distance of the lifted points from the nearest iterate, (n,); NaN gives NaN."""
        lifted, points = self._lifted[start:stop], self._coordinates
        # as for whole points: measured from the last iterate, then recomputed for the nearest one as a difference
        ours, theirs = lifted - points[-1], points - points[-1]
        fixed = np.sum(theirs**2, axis=1) + self._off**2
        found = np.empty(len(lifted))
        for rows in column_blocks(len(lifted), max(1, 2**22 // len(points))):
            nearest = (fixed - 2 * ours[rows] @ theirs.T).argmin(axis=1)
            apart = lifted[rows] - points[nearest]
            found[rows] = np.sqrt(np.sum(apart**2, axis=1) + self._off[nearest] ** 2)
        return found

    def residuals(self, start: int = 0) -> Array:
        """Distance of each iterate t from lifted point start + t, (T,); its own lift, if these are the path's."""
        apart = self._lifted[start : start + len(self._coordinates)] - self._coordinates
        return np.sqrt(np.sum(apart**2, axis=1) + self._off**2)

    def nearest(self, thetas: Array) -> Array:
        """Distance of whole points from the nearest iterate.

        Parameters
        ----------
        thetas : numpy.ndarray, shape (n, P)
            Points; NaN gives NaN.

        Returns
        -------
        numpy.ndarray, shape (n,)
            Distances in parameter space.
        """
        # distances are differences: measured from the last iterate, small late steps keep their digits
        origin = np.asarray(self._iterates[-1], dtype=np.float64)
        products = np.zeros((len(thetas), len(self._iterates)))
        ours, theirs = np.zeros(len(thetas)), np.zeros(len(self._iterates))
        for columns in stretches(len(thetas) + len(self._iterates), len(origin)):
            a = thetas[:, columns] - origin[columns]
            b = np.asarray(self._iterates[:, columns], dtype=np.float64) - origin[columns]
            products += a @ b.T
            ours += np.einsum("ij,ij->i", a, a)
            theirs += np.einsum("ij,ij->i", b, b)
        squares = ours[:, None] + theirs - 2 * products
        nearest = squares.argmin(axis=1)
        # the expanded square loses half the digits near an iterate, so the nearest one is recomputed
        exact = [np.linalg.norm(theta - self._iterates[int(i)]) for theta, i in zip(thetas, nearest, strict=True)]
        return np.array(exact)


def _pairwise(points: Array) -> Array:
    """Distances of points from each other, as norms of differences, (n, k) → (n, n)."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(points, points))


def _pass(iterates: Any, frame: Frame | None, *, pairs: bool = True) -> tuple[Array, Array, Array]:
    """Read a run once: Gram matrix of its steps, and products with a frame's vectors and squares, from its origin."""
    T, P = iterates.shape
    # the rounding of float32 products averages out over many columns, but not over few
    narrow = np.dtype(iterates.dtype) == np.float32 and P >= _MANY_COLUMNS
    gram = np.zeros((T, T))
    products, squares = np.zeros((T, 0 if frame is None else frame.n_vectors)), np.zeros(T)
    for columns in stretches(T + (0 if frame is None else frame.n_vectors), P):
        block = np.asarray(iterates[:, columns])
        for inner in column_blocks(block.shape[1], 8192) if pairs else ():
            steps = np.diff(block[:, inner].astype(np.float32 if narrow else np.float64, copy=False), axis=0)
            gram[1:, 1:] += steps @ steps.T
        if frame is not None:
            shifted = block - frame.origin[columns].astype(np.float64, copy=False)
            products += shifted @ np.asarray(frame.basis[:, columns]).T.astype(np.float64, copy=False)
            squares += np.einsum("ij,ij->i", shifted, shifted)
    return gram, products, squares


def _residuals(iterates: Any, frame: Frame, coefficients: Array, rows: Array) -> Array:
    """Squared distances of some iterates from their projections in a frame, by differences."""
    places = np.flatnonzero(rows)
    total = np.zeros(len(places))
    chosen = coefficients[places]
    for columns in stretches(len(iterates) + frame.n_vectors, frame.size) if len(places) else ():
        apart = np.asarray(iterates[places, columns], dtype=np.float64) - frame.origin[columns].astype(
            np.float64, copy=False
        )
        apart -= chosen @ np.asarray(frame.basis[:, columns]).astype(np.float64, copy=False)
        total += np.einsum("ij,ij->i", apart, apart)
    return total
