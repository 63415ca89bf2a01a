"""Explained variance of a trajectory's principal components, never without its random-walk null."""

import dataclasses

from trajmap._validation import Array
from trajmap.data.archive import Saved

__all__ = ["VarianceSpectrum"]


@dataclasses.dataclass(frozen=True, eq=False)
class VarianceSpectrum(Saved):
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

    ratios: Array
    theory: Array
    null: Array

    def __post_init__(self) -> None:
        k = len(self.ratios)
        shapes: dict[str, tuple[int | None, ...]] = {"ratios": (k,), "theory": (k,), "null": (None, k)}
        for name, shape in shapes.items():
            self._keep(name, shape, dtype=None)
