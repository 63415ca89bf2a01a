"""The Hessian's top eigenspace compared with the chart, the gradient and the step, along a run."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array, worded
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape
from trajmap.errors import InputError

__all__ = ["Alignment"]


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment(Saved, rows=("m",)):
    """Top eigenspaces at m iterates compared with what the run did there, each with its baseline.

    Parameters
    ----------
    steps : numpy.ndarray, shape (m,)
        Optimizer steps of the compared iterates.
    eigenvalues : numpy.ndarray, shape (m, k)
        Top Hessian eigenvalues there.
    residuals : numpy.ndarray, shape (m, k)
        Their residuals.
    angles : numpy.ndarray, shape (m, min(d, k))
        Principal angles between the chart's tangent and the eigenspace, radians, ascending.
    tangent : numpy.ndarray, shape (m,)
        Overlap of the chart's tangent with the eigenspace: mean squared cosine of its d directions, in [0, 1].
    gradient : numpy.ndarray, shape (m,)
        Share of the squared gradient norm inside the eigenspace, in [0, 1].
    step : numpy.ndarray, shape (m,)
        Share of the squared norm of the next recorded step inside it, in [0, 1].
    baselines : dict of str to numpy.ndarray of shape (3,)
        5 %, 50 % and 95 % quantiles under a random subspace, for ``tangent`` (d directions drawn isotropically),
        ``vector`` (one direction drawn isotropically) and ``row_space`` (d directions drawn inside the span
        of the iterates).
    size : int
        P; the mean of the isotropic baselines is k/P.
    name : str
        Name of the chart.
    """

    steps: Annotated[Array, Shape("m")]
    eigenvalues: Annotated[Array, Shape("m", "k")]
    residuals: Annotated[Array, Shape("m", "k")]
    angles: Annotated[Array, Shape("m", None)]
    tangent: Annotated[Array, Shape("m")]
    gradient: Annotated[Array, Shape("m")]
    step: Annotated[Array, Shape("m")]
    baselines: Annotated[dict[str, Array], Shape(3)]
    size: int
    name: str = ""

    def _check(self) -> None:
        if not len(self.steps):
            raise InputError(worded("steps", "at least one compared iterate", "none"))

    @property
    def expected(self) -> float:
        """k/P, the mean share of a random direction inside the eigenspace."""
        return float(self.eigenvalues.shape[1] / self.size)
