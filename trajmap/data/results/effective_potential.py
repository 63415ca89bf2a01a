"""How often a run is at a place, as a potential, and whether it may be read as one."""

import dataclasses
from typing import Annotated

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.results.landscape import Grid
from trajmap.data.shapes import Shape

__all__ = ["EffectivePotential"]


@dataclasses.dataclass(frozen=True, eq=False)
class EffectivePotential(Saved, rows=("*grid",)):
    """−log of the density of a run's chart coordinates, with the evidence for its conditions.

    Parameters
    ----------
    grid : Grid
        Chart coordinates.
    values : numpy.ndarray, shape grid.shape
        −log p up to a constant, 0 at its lowest; inf where no iterate came near.
    n_effective : float
        Number of independent samples equivalent to the iterates, given their correlation in time.
    drift : float
        Distance between the means of the two halves in their standard errors, the largest coordinate's.
    noise_change : float
        Ratio in [0, 1] of the step variances of the two halves, the smaller over the larger.
    isotropy : float
        Ratio in [0, 1] of the lowest to the highest variance of a step over the coordinates' directions.
    """

    grid: Grid
    values: Annotated[Array, Shape("*grid")]
    n_effective: float
    drift: float
    noise_change: float
    isotropy: float

    @property
    def reservations(self) -> list[str]:
        """The conditions that fail: empty when −log p may be read as loss over temperature, up to scale."""
        found = []
        if self.n_effective < 50:
            found.append(f"equivalent to only {self.n_effective:.0f} independent samples (50 are needed)")
        if self.drift > 3:
            found.append(f"not stationary: the halves' means are {self.drift:.1f} standard errors apart")
        if self.noise_change < 0.5:
            found.append(f"the noise changes: step variances of the halves are as {self.noise_change:.2g} to 1")
        if self.isotropy < 0.25:
            found.append(f"the noise is not isotropic: step variances are as {self.isotropy:.2g} to 1")
        return found
