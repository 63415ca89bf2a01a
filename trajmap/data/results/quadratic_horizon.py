"""How far the quadratic at an iterate predicts the run."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["QuadraticHorizon"]


@dataclasses.dataclass(frozen=True, eq=False)
class QuadraticHorizon(Saved, rows=("n",)):
    """A run's displacement compared with that of gradient descent on the frozen quadratic at one iterate.

    Parameters
    ----------
    steps : numpy.ndarray of int, shape (n,)
        Steps after the frozen iterate.
    cosines : numpy.ndarray, shape (n,)
        Cosine of the two displacements: near 1 as long as the quadratic predicts the run.
    """

    steps: Annotated[Array, Shape("n", dtype=int)]
    cosines: Annotated[Array, Shape("n")]
