"""How two points of parameter space are connected: the loss along paths from one to the other."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array, check_choice
from trajmap.data.archive import Saved
from trajmap.data.path_climb import above_chord, barrier_height
from trajmap.data.shapes import Shape

__all__ = ["WAYS", "Connection"]

WAYS = ("segment", "after matching", "along a curve")
MATCHING = ("tried", "nothing to match", "not tried")

_NINETY = 1.645  # standard errors on each side of a 90 % interval
_NONE = 1e-3  # of the ends' loss: a climb below it counts as none, for any noise
_LOWERED = 0.1  # of the least climb of a straight line: a curve below it may come down farther


@dataclasses.dataclass(frozen=True, eq=False)
class Connection(Saved, rows=("n",)):
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
        The highest climb between sister runs of one basin; NaN where no sisters were given. It is the highest of
        `n_sisters` draws and no interval.
    name : str
        What is connected.
    function_distance, sister_distance : float
        Distance of the two points as functions, and that of the sisters; NaN where it was not asked for.
    same_signs, same_signs_matched : float
        Share of entries with the same sign, as they are and after matching units; ½ is chance. The more, the better two
        points average.
    errors : numpy.ndarray, shape (3,)
        Standard error of each way's climb over the data's batches; NaN where there is one batch or the way was not
        tried.
    n_sisters : int
        Pairs of sister ends behind `noise`.
    matching : str
        ``"tried"``, ``"nothing to match"`` for a network without units that may be permuted, or ``"not tried"``.

    Examples
    --------
    >>> nothing = np.full(3, np.nan)
    >>> hill = Connection(np.array([0.0, 0.5, 1.0]), np.array([[1.0, 4, 2], nothing, nothing]), np.ones(3))
    >>> hill.barrier("segment"), hill.climb("segment")
    (2.5, 2.5)
    >>> hill.holds, hill.verdict
    ('unknown', 'one basin or two is not known: a straight line climbs 2.5; no sister run shows the climb between \
two ends of one basin, hidden units were not matched, a curve was not tried')
    """

    t: Annotated[Array, Shape("n")]
    losses: Annotated[Array, Shape(len(WAYS), "n")]
    lengths: Annotated[Array, Shape(len(WAYS))]
    noise: float = float("nan")
    name: str = ""
    function_distance: float = float("nan")
    sister_distance: float = float("nan")
    same_signs: float = float("nan")
    same_signs_matched: float = float("nan")
    errors: Annotated[Array, Shape(len(WAYS))] = dataclasses.field(default_factory=lambda: np.full(len(WAYS), np.nan))
    n_sisters: int = 0
    matching: str = "not tried"

    def _check(self) -> None:
        check_choice("matching", self.matching, MATCHING)

    def along(self, way: str) -> Array:
        """Losses along one way, shape (n,)."""
        return self.losses[WAYS.index(way)]

    def barrier(self, way: str) -> float:
        """Highest loss above the mean of the ends': the customary number; half their difference at least."""
        return float(barrier_height(self.along(way)))

    def climb(self, way: str) -> float:
        """Highest loss above the straight line between the ends' losses, at least 0: what has to be climbed."""
        return float(np.max(above_chord(self.t, self.along(way))))

    def interval(self, way: str) -> tuple[float, float]:
        """Climb of a way within 90 % of what other data of the same kind would show; NaN where it is not known."""
        half = _NINETY * float(self.errors[WAYS.index(way)])
        return self.climb(way) - half, self.climb(way) + half

    def limit(self, way: str) -> float:
        """Climb up to which a way is level: the largest of the sisters', its own error, a thousandth of the loss."""
        of_loss = _NONE * abs(float(self.losses[0, [0, -1]].mean()))
        own = _NINETY * float(self.errors[WAYS.index(way)])
        return max((size for size in (of_loss, self.noise, own) if np.isfinite(size)), default=0.0)

    @property
    def way(self) -> str:
        """The first way that is level; otherwise the one that climbs least; empty where no climb is known."""
        climbs = {way: climb for way in WAYS if np.isfinite(climb := self.climb(way))}
        level = [way for way, climb in climbs.items() if climb <= self.limit(way)]
        return level[0] if level else min(climbs, key=lambda way: climbs[way], default="")

    @property
    def holds(self) -> str:
        """``"one"`` basin where a way is level, ``"two"`` where none is and all were looked for, or ``"unknown"``."""
        if not self.way:
            return "unknown"
        if self.climb(self.way) <= self.limit(self.way):
            return "one"
        return "unknown" if self.reasons else "two"

    @property
    def reasons(self) -> list[str]:
        """Why a climb does not show two basins."""
        straight, matched, curved = (self.climb(way) for way in WAYS)
        found = []
        if not np.isfinite(straight):
            found.append("the loss is not a number somewhere on the segment")
        if not self.n_sisters:
            found.append("no sister run shows the climb between two ends of one basin")
        if self.matching == "not tried":
            found.append("hidden units were not matched")
        if np.isnan(curved):
            found.append("a curve was not tried")
        elif curved <= _LOWERED * np.nanmin([straight, matched]):
            found.append(f"a curve climbs only {curved:.3g} and may come down farther if it is trained for longer")
        if self.way and self.interval(self.way)[0] <= self.limit(self.way):
            found.append("the climb is within its error of what counts as level")
        return found

    @property
    def verdict(self) -> str:
        """The answer in words."""
        text = [self._answer]
        if not np.isnan(self.function_distance):
            beside = "" if np.isnan(self.sister_distance) else f" (sisters: {self.sister_distance:.2g})"
            text.append(f"as functions they are {self.function_distance:.2g} of 1 apart{beside}")
        if not np.isnan(self.same_signs):
            after = "" if np.isnan(self.same_signs_matched) else f", {self.same_signs_matched:.0%} after matching"
            text.append(f"{self.same_signs:.0%} of the weights have the same sign{after} (chance: 50%)")
        return "; ".join(text)

    @property
    def _answer(self) -> str:
        if self.holds == "unknown":
            climbs = "" if np.isnan(self.climb(WAYS[0])) else f"a straight line climbs {self._told(WAYS[0])}"
            if self.way not in {"", WAYS[0]}:
                climbs += f", {self.way} {self._told(self.way)}"
            text = "; ".join(part for part in (climbs, ", ".join(self.reasons)) if part)
            return f"one basin or two is not known: {text}"
        if self.holds == "two":
            return f"two basins: the easiest way found, {self.way}, climbs {self._told(self.way)}{self._beside}"
        words = dict(
            zip(WAYS, ("one basin", "one basin up to a permutation of units", "one connected valley"), strict=True)
        )
        climbs = f"the segment climbs {self._told(WAYS[0])}"
        if self.way != WAYS[0]:
            climbs += f", {self.way} {self._told(self.way)}"
        return f"{words[self.way]}: {climbs}{self._beside}"

    def _told(self, way: str) -> str:
        low, high = self.interval(way)
        return f"{self.climb(way):.3g}" + ("" if np.isnan(low) else f" [{max(low, 0.0):.3g}, {high:.3g}]")

    @property
    def _beside(self) -> str:
        if not self.n_sisters:
            return ""
        whose = "a sister's" if self.n_sisters == 1 else f"the highest of {self.n_sisters} sisters'"
        return f" ({whose}: {self.noise:.3g})"
