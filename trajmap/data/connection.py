"""How two points of parameter space are connected: the loss along ways from one to the other."""

import dataclasses

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved

__all__ = ["WAYS", "Connection"]

WAYS = ("segment", "after matching", "along a curve")


@dataclasses.dataclass(frozen=True, eq=False)
class Connection(Saved):
    """Losses along three ways between two points; ways that were not tried are NaN.

    Parameters
    ----------
    t : numpy.ndarray, shape (n,)
        Positions, from 0 to 1.
    losses : numpy.ndarray, shape (3, n)
        Along the segment, along the segment to the second point with its hidden units permuted to match the
        first's, and along a curve trained between them.
    lengths : numpy.ndarray, shape (3,)
        Lengths of the ways, in parameter space.
    noise : float
        Climbs up to this are what sister runs of one basin show; NaN where no sisters were given.
    name : str
        What is connected.
    function_distance, sister_distance : float
        Distance of the two points as functions, and that of the sisters; NaN where it was not asked for.
    same_signs, same_signs_matched : float
        Share of entries with the same sign, as they are and after matching units; ½ is chance. The more, the better two
        points average.

    Examples
    --------
    >>> nothing = np.full(3, np.nan)
    >>> hill = Connection(np.array([0.0, 0.5, 1.0]), np.array([[1.0, 4, 2], nothing, nothing]), np.ones(3))
    >>> hill.barrier("segment"), hill.climb("segment")
    (2.5, 2.5)
    """

    t: Array
    losses: Array
    lengths: Array
    noise: float = float("nan")
    name: str = ""
    function_distance: float = float("nan")
    sister_distance: float = float("nan")
    same_signs: float = float("nan")
    same_signs_matched: float = float("nan")

    def __post_init__(self) -> None:
        self._keep("t", (None,))
        self._keep("losses", (len(WAYS), len(self.t)))
        self._keep("lengths", (len(WAYS),))

    def along(self, way: str) -> Array:
        """Losses along one way, shape (n,)."""
        values: Array = self.losses[WAYS.index(way)]
        return values

    def barrier(self, way: str) -> float:
        """Highest loss above the mean of the ends': the customary number; half their difference at least."""
        values = self.along(way)
        return float(values.max() - 0.5 * (values[0] + values[-1]))

    def climb(self, way: str) -> float:
        """Highest loss above the straight line between the ends' losses, at least 0: what has to be climbed."""
        values = self.along(way)
        return float(np.max(values - (1 - self.t) * values[0] - self.t * values[-1]))

    @property
    def verdict(self) -> str:
        """The answer in words."""
        told = [self._verdict]
        if not np.isnan(self.function_distance):
            beside = "" if np.isnan(self.sister_distance) else f" (sisters: {self.sister_distance:.2g})"
            told.append(f"as functions they are {self.function_distance:.2g} of 1 apart{beside}")
        if not np.isnan(self.same_signs):
            after = "" if np.isnan(self.same_signs_matched) else f", {self.same_signs_matched:.0%} after matching"
            told.append(f"{self.same_signs:.0%} of the weights have the same sign{after} (chance: 50%)")
        return "; ".join(told)

    @property
    def _verdict(self) -> str:
        straight, matched, curved = (self.climb(way) for way in WAYS)
        if np.isnan(straight):
            return "not known: the loss is not a number somewhere on the segment"
        band = 0.0 if np.isnan(self.noise) else self.noise
        low = max(band, 1e-3 * abs(float(self.losses[0, [0, -1]].mean())))
        beside = "" if np.isnan(self.noise) else f" (sisters: up to {self.noise:.3g})"
        if straight <= low:
            return f"one basin: the segment climbs {straight:.3g}{beside}"
        if matched <= low:
            after = f"{matched:.3g} after matching"
            return f"one basin up to a permutation of units: the segment climbs {straight:.3g}, {after}{beside}"
        if curved <= max(low, 0.05 * straight):
            return f"one connected valley: the segment climbs {straight:.3g}{beside}, a curve {curved:.3g}"
        least = np.nanmin([straight, matched, curved])
        return f"two basins: the easiest way found climbs {least:.3g}{beside}"
