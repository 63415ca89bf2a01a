"""Explained variance of a trajectory's principal components, never without its random-walk null."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["VarianceSpectrum"]


@dataclasses.dataclass(frozen=True, eq=False)
class VarianceSpectrum(Saved, rows=("k",)):
    """Shares of variance of the first k principal components (mean-centred).

    Parameters
    ----------
    ratios : numpy.ndarray, shape (k,)
        Share of each component, in [0, 1]; not evidence of low dimension by itself.
    theory : numpy.ndarray, shape (k,)
        6/(π²k²): an infinitely long random walk in infinitely many dimensions.
    null : numpy.ndarray, shape (n_draws, k)
        Shares of simulated random walks with the run's T, P and step norms.
    """

    ratios: Annotated[Array, Shape("k")]
    theory: Annotated[Array, Shape("k")]
    null: Annotated[Array, Shape("n_draws", "k")]
