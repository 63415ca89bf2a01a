"""How saturated a network's activations are, at one or several points."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["Saturation"]


@dataclasses.dataclass(frozen=True, eq=False)
class Saturation(Saved, rows=("n", "n_layers")):
    """Saturation of each activation layer by optimizer step.

    Parameters
    ----------
    steps : numpy.ndarray, shape (n,)
        Steps of the points.
    values : numpy.ndarray, shape (n, n_layers)
        In [0, 1]: for tanh and sigmoid the mean distance from the middle of the range, 1 where every unit is at an
        end; for ReLU the share of outputs that are zero.
    names : list of str
        The layers.
    """

    steps: Annotated[Array, Shape("n")]
    values: Annotated[Array, Shape("n", "n_layers")]
    names: Annotated[list[str], Shape("n_layers")]
