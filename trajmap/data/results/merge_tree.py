"""The merge tree of a function on a graph, as its pairs of minima and saddles."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array, check_positive
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["MergeTree"]


@dataclasses.dataclass(frozen=True, eq=False)
class MergeTree(Saved, rows=("m",)):
    """How the basins of a landscape merge as the level rises.

    Each minimum but the lowest of its component ends where its basin meets a deeper one (the elder rule). Vertices are
    places in the raveled values. For superlevel trees all values are negated, so that birth ≤ death always.

    Parameters
    ----------
    minima : numpy.ndarray of int, shape (m,)
        Vertices of the minima, by descending persistence; essential ones (the lowest of a component) first.
    saddles : numpy.ndarray of int, shape (m,)
        Vertices where they end; −1 for essential ones.
    births, deaths : numpy.ndarray, shape (m,)
        Values there; inf for essential deaths.
    parents : numpy.ndarray of int, shape (m,)
        Row of the minimum each is merged into; −1 for essential ones.
    basins : numpy.ndarray of int, shape (n,)
        Row of the minimum each vertex belongs to when the water that rises first reaches it; −1 for masked ones.
    boundary : numpy.ndarray of bool, shape (m,)
        Whether the minimum lies on the grid's boundary, where a slope looks like one.
    top : float
        Highest finite value.
    supported : bool
        Whether only cells that a run supports were counted. Parts joined through other cells alone are then listed as
        several essential minima: whether they are one basin is not known.
    """

    minima: Annotated[Array, Shape("m", dtype=int)]
    saddles: Annotated[Array, Shape("m", dtype=int)]
    births: Annotated[Array, Shape("m")]
    deaths: Annotated[Array, Shape("m")]
    parents: Annotated[Array, Shape("m", dtype=int)]
    basins: Annotated[Array, Shape("n", dtype=int)]
    boundary: Annotated[Array, Shape("m", dtype=bool)]
    top: float
    supported: bool = False

    @property
    def n_minima(self) -> int:
        """Number of minima, boundary ones and essential ones among them."""
        return len(self.minima)

    @property
    def n_saddles(self) -> int:
        """Number of distinct saddle vertices; one where several basins merge counts once."""
        return len(np.unique(self.saddles[self.saddles >= 0]))

    @property
    def persistence(self) -> Array:
        """Death − birth of the finite pairs, descending, shape (m − components,)."""
        finite = np.isfinite(self.deaths)
        return self.deaths[finite] - self.births[finite]

    def average_persistence(self, *, diagonal: bool = False, normalise: bool = False) -> float:
        """Mean over the finite pairs, 0 where there are none; the essential class is left out.

        Parameters
        ----------
        diagonal : bool
            Distance to the diagonal, (death − birth)/√2, instead of the height.
        normalise : bool
            Divide by the range of the values.

        Returns
        -------
        float
            In units of the loss, or of its range.
        """
        if not len(self.persistence):
            return 0.0
        mean = float(self.persistence.mean()) / (np.sqrt(2) if diagonal else 1.0)
        return mean / (self.top - float(self.births.min())) if normalise else mean

    def smad(self, *, weighted: bool = False) -> float:
        """Saddle–minimum average distance: mean height from each minimum to its saddle, essential ones to the top.

        Parameters
        ----------
        weighted : bool
            Weigh by the share of vertices in each basin.

        Returns
        -------
        float
            In units of the loss.

        References
        ----------
        Landscaper: understanding loss landscapes through multi-dimensional topological analysis, 2026.
        """
        heights = np.where(np.isfinite(self.deaths), self.deaths, self.top) - self.births
        if not weighted:
            return float(heights.mean())
        counts = np.bincount(self.basins[self.basins >= 0], minlength=len(heights))
        return float(np.sum(heights * counts) / counts.sum())

    def simplify(self, threshold: float) -> "MergeTree":
        """Remove the pairs of less persistence; their basins go to those they merge into.

        Parameters
        ----------
        threshold : float
            Persistence below which a pair is noise.

        Returns
        -------
        MergeTree
            The simplified tree.
        """
        check_positive("threshold", threshold, zero=True)
        keep = ~np.isfinite(self.deaths) | (self.deaths - self.births >= threshold)
        target = np.arange(len(keep))
        for row in range(len(keep)):
            while not keep[target[row]]:
                target[row] = self.parents[target[row]]
        place = np.cumsum(keep) - 1
        move = np.append(place[target], -1)  # −1 stays −1
        return MergeTree(
            self.minima[keep], self.saddles[keep], self.births[keep], self.deaths[keep], move[self.parents[keep]],
            move[self.basins], self.boundary[keep], self.top, self.supported,
        )  # fmt: skip
