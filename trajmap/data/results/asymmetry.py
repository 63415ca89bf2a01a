"""Losses on both sides of a model along noises that share its signs, more or less."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["Asymmetry"]


@dataclasses.dataclass(frozen=True, eq=False)
class Asymmetry(Saved, rows=("m", "n")):
    """A measure at θ + ε and at θ − ε, by the share of entries of ε that take the model's sign.

    Parameters
    ----------
    shares : numpy.ndarray, shape (m,)
        0 for Gaussian noise, the control; 1 for sign-consistent noise.
    plus, minus : numpy.ndarray, shape (m, n)
        The measure on each side, over n draws; NaN and inf are kept.
    measure : str
        What was measured.
    scale : float
        Norm of the noise in units of ‖θ‖; of the normalisation's, if there was one.

    Examples
    --------
    >>> import numpy as np
    >>> sweep = Asymmetry(np.array([0.0, 1.0]), np.array([[1.0, 1], [1, 1]]), np.array([[1.0, 1], [2, 4]]))
    >>> sweep.ratios.tolist()
    [1.0, 3.0]
    """

    shares: Annotated[Array, Shape("m")]
    plus: Annotated[Array, Shape("m", "n")]
    minus: Annotated[Array, Shape("m", "n")]
    measure: str = "loss"
    scale: float = float("nan")

    @property
    def ratios(self) -> Array:
        """Mean of the minus side over mean of the plus side, by share, shape (m,): 1 for a symmetric valley."""
        return self.minus.mean(axis=1) / self.plus.mean(axis=1)
