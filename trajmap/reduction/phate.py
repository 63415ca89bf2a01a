"""PHATE of a trajectory, by the phate library: diffusion distances on a logarithmic scale, embedded by scaling."""

import warnings
from typing import Any

import numpy as np

from trajmap._optional import optional_import
from trajmap._validation import Array, check_count
from trajmap.reduction._base import Embedding
from trajmap.reduction._checks import fix_signs
from trajmap.reduction.lifting import fit_barycentric_lift

__all__ = ["Phate"]


class Phate(Embedding):
    """Potential of heat diffusion for affinity-based transition embedding, designed for paths and branches.

    Needs the extra ``phate``. PHATE has no inverse; the lift is `BarycentricLift`.

    Parameters
    ----------
    n_components : int
        d, the number of coordinates.
    knn : int
        Neighbours of the kernel; fewer for very short runs.
    decay : int
        Exponent of the kernel's decay.
    random_state : int
        Seed; equal seeds give equal fits.
    lift_neighbors : int
        Neighbours of the lift; see `BarycentricLift`.

    Attributes
    ----------
    embedding_ : numpy.ndarray, shape (n, d)
        Coordinates of the fitted points.

    Raises
    ------
    MissingExtraError
        On fitting, if phate is not installed.

    References
    ----------
    K. Moon et al., Visualizing structure and transitions in high-dimensional biological data, 2019; for
    optimizers S. Horoi et al., Exploring the geometry and topology of neural network loss landscapes, 2021.
    """

    word, extra, slow = "phate", True, True
    _kept = ("_X", "embedding_")

    def __init__(
        self,
        n_components: int = 2,
        *,
        knn: int = 5,
        decay: int = 40,
        random_state: int = 0,
        lift_neighbors: int = 8,
    ) -> None:
        self.n_components = n_components
        self.knn = knn
        self.decay = decay
        self.random_state = random_state
        self.lift_neighbors = lift_neighbors

    def _check_parameters(self, X: Array) -> None:
        check_count("knn", self.knn)
        check_count("decay", self.decay)
        check_count("random_state", self.random_state, low=0, high=2**32 - 1)

    def _fit(self, X: Array, d: int) -> Array:
        library: Any = optional_import("phate", "phate")
        with warnings.catch_warnings(action="ignore"):
            made = library.PHATE(
                n_components=d,
                knn=min(self.knn, max(1, len(X) // 2 - 1)),
                decay=self.decay,
                n_landmark=None,  # exact: runs are short
                n_pca=None,
                mds_solver="smacof",  # the default stops before convergence
                random_state=self.random_state,
                verbose=0,
                n_jobs=1,
            )
            Z = np.asarray(made.fit_transform(X), dtype=np.float64)
        self.embedding_ = Z * fix_signs(Z)
        self._X = X
        return self.embedding_

    def _rebuild(self, points: Any) -> None:
        self._neighbours = fit_barycentric_lift(self.embedding_, self._X, n_neighbors=self.lift_neighbors)
        self._places = fit_barycentric_lift(self._X, self.embedding_, n_neighbors=self.knn)

    def _restrict(self, X: Array) -> Array:
        """Return the coordinates of fitted points; place others between their nearest fitted neighbours."""
        return self._places.predict(X)

    def _lift(self, Z: Array) -> Array:
        return self._neighbours.predict(Z)

    def _spread(self, Z: Array) -> Array:
        return np.zeros(len(Z))
