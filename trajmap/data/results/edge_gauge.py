"""How near a run is to the edge of stability."""

import dataclasses
from typing import Annotated

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape

__all__ = ["EdgeGauge"]

_NEAR = (0.8, 1.2)  # ratios that are called the edge


@dataclasses.dataclass(frozen=True, eq=False)
class EdgeGauge(Saved, rows=("n",)):
    """Sharpness along a run over the largest that the optimizer's step is stable at.

    Parameters
    ----------
    steps : numpy.ndarray, shape (n,)
        Optimizer steps.
    sharpness : numpy.ndarray, shape (n,)
        What the optimizer feels: λ_max, batch sharpness, or λ_max of the preconditioned Hessian, with weight decay; NaN
        where it is not known.
    top : numpy.ndarray, shape (n,)
        λ_max of the Hessian itself.
    threshold : float or numpy.ndarray of shape (n,)
        The largest stable sharpness at the learning rate of the step; kept as (n,).
    kind : str
        What `sharpness` is.
    low, high : numpy.ndarray of shape (n,), optional
        Interval of the ratio: from the residual of λ_max, the batches that were drawn, or where the threshold is known
        between bounds only; `high` is inf where the sharpness is a lower bound. The ratio itself by default.
    reasons : list of str
        Why the ratio of each iterate is not known; empty words where it is. None at all by default.
    full_batch : bool
        Whether the gauge is of steps of the whole loss, as it is where the run notes no batch size.

    Examples
    --------
    >>> gauge = EdgeGauge(np.arange(2), np.array([19.0, 21.0]), np.array([19.0, 21.0]), 20.0, "sharpness")
    >>> gauge.ratio.tolist(), gauge.regime
    ([0.95, 1.05], 'at')
    """

    steps: Annotated[Array, Shape("n")]
    sharpness: Annotated[Array, Shape("n")]
    top: Annotated[Array, Shape("n")]
    threshold: Annotated[Array, Shape("n", spread=True)]
    kind: str
    low: Annotated[Array, Shape("n")] | None = None
    high: Annotated[Array, Shape("n")] | None = None
    reasons: Annotated[list[str], Shape("n", or_empty=True)] = dataclasses.field(default_factory=list)
    full_batch: bool = True

    def _check(self) -> None:
        for name in ("low", "high"):
            if getattr(self, name) is None:
                self._set(name, self.ratio)
        self._set("reasons", self.reasons or [""] * len(self.steps))

    @property
    def ratio(self) -> Array:
        """Sharpness over threshold, shape (n,): 1 is the edge."""
        return self.sharpness / self.threshold

    @property
    def late(self) -> tuple[float, float, float]:
        """Median ratio of the run's last third, and those of its interval's ends; NaN where none is known."""
        kept = slice(-max(1, len(self.steps) // 3), None)
        known = np.isfinite(self.ratio[kept])
        if not known.any():
            return (np.nan,) * 3
        assert self.low is not None
        assert self.high is not None
        found = [float(np.median(row[kept][known])) for row in (self.ratio, self.low, self.high)]
        return found[0], found[1], found[2]

    @property
    def regime(self) -> str:
        """``"below"``, ``"at"`` or ``"beyond"`` the edge in the last third, or ``"unknown"``.

        Below where the whole interval is under 0.8, beyond where it is over 1.2; at the edge where it is shorter than
        that range and meets it.
        """
        late, low, high = self.late
        if np.isnan([late, low, high]).any():
            return "unknown"
        if high < _NEAR[0]:
            return "below"
        if low > _NEAR[1]:
            return "beyond"
        return "at" if high - low <= _NEAR[1] - _NEAR[0] else "unknown"

    @property
    def reason(self) -> str:
        """Why the regime is unknown; empty otherwise."""
        if self.regime != "unknown":
            return ""
        late, low, high = self.late
        text = [words for words in self.reasons[-max(1, len(self.steps) // 3) :] if words]
        if np.isnan(late):
            return text[-1] if text else "the sharpness is not a number"
        spans = f"the ratio is only known to be at least {low:.2g}"
        return spans if np.isinf(high) else f"the ratio is only known to lie between {low:.2g} and {high:.2g}"

    @property
    def verdict(self) -> str:
        """The regime of the run's last third in words."""
        late, _, _ = self.late
        regime = self.regime
        if np.isnan(late):
            return f"the edge is unknown: {self.reason}"
        text = f"{self.kind} at {late:.3g} times its threshold, {self.threshold[-1]:.3g}: "
        if regime == "unknown":
            return text + f"the edge is unknown, as {self.reason}"
        if regime == "below":
            whole = (
                "; larger steps of the whole loss would be stable, and how large the run's batches were is not noted"
            )
            return text + "below the edge" + (whole if self.full_batch else "")
        if regime == "at":
            return text + "at the edge of stability"
        return text + "beyond the edge; the valley is not the quadratic it seems, or the run diverges"
