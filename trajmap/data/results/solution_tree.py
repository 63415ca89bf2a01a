"""A hierarchy of solutions, and whether a tree describes them."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array, worded
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape
from trajmap.errors import InputError

__all__ = ["SolutionTree"]


@dataclasses.dataclass(frozen=True, eq=False)
class SolutionTree(Saved, rows=("m",)):
    """Hierarchical clustering of solutions, and whether a tree describes them.

    Parameters
    ----------
    linkage : numpy.ndarray, shape (m - 1, 4)
        As SciPy's: clusters that join, at which distance, into how many.
    cophenetic : float
        Correlation of the tree's distances with the true ones: 1 for an ultrametric set.
    null : numpy.ndarray, shape (n_draws,)
        The same for isotropic points with the solutions' norms, about their mean.
    overlaps : numpy.ndarray, shape (m, m)
        Cosines of all pairs of solutions.
    names : list of str
        The solutions.

    Raises
    ------
    InputError
        If the sizes do not agree.
    """

    linkage: Annotated[Array, Shape("m - 1", 4)]
    cophenetic: float
    null: Annotated[Array, Shape("n_draws")]
    overlaps: Annotated[Array, Shape("m", "m")]
    names: Annotated[list[str], Shape("m")]

    def _check(self) -> None:
        if len(self.names) < 3:
            raise InputError(worded("names", "at least 3 solutions", f"{len(self.names)}"))

    @property
    def is_tree(self) -> bool:
        """Whether the tree fits better than every draw of isotropic points' does."""
        return bool(self.cophenetic > self.null.max())

    @property
    def verdict(self) -> str:
        """The answer in words; a tree fits any three or four points nearly, so fewer than six are no evidence."""
        low, high = float(self.null.min()), float(self.null.max())
        text = f"cophenetic correlation {self.cophenetic:.4f} (isotropic points: {low:.4f} to {high:.4f})"
        if len(self.names) < 6:
            return f"too few ends for a verdict, {text}"
        return f"{'a hierarchy' if self.is_tree else 'no hierarchy beyond chance'}, {text}"

    def labels(self, n_clusters: int) -> Array:
        """Cut the tree into some clusters; labels from 0, shape (m,)."""
        from scipy.cluster.hierarchy import fcluster

        return fcluster(self.linkage, n_clusters, criterion="maxclust") - 1
