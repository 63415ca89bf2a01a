"""How the loss rises under noise of several sizes: the ruggedness of a landscape around a point."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["NoiseRise"]


@dataclasses.dataclass(frozen=True, eq=False)
class NoiseRise(Saved, rows=("m", "n_draws")):
    """Losses at θ + ε for Gaussian ε, by the size of ε.

    Parameters
    ----------
    scales : numpy.ndarray, shape (m,)
        Norm of the noise, in units of ‖θ‖; of the normalisation's, where there was one.
    losses : numpy.ndarray, shape (m, n_draws)
        Losses; NaN and inf are kept.
    start : float
        Loss at θ.

    Examples
    --------
    >>> import numpy as np
    >>> NoiseRise(np.array([0.1]), np.array([[2.0, 4.0]]), 1.0).rises.tolist()
    [2.0]
    """

    scales: Annotated[Array, Shape("m")]
    losses: Annotated[Array, Shape("m", "n_draws")]
    start: float

    @property
    def rises(self) -> Array:
        """Mean rise of the loss by scale, shape (m,): lower is flatter."""
        return self.losses.mean(axis=1) - self.start
