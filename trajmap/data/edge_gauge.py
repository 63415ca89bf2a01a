"""How near a run is to the edge of stability."""

import dataclasses

import numpy as np

from trajmap._validation import Array
from trajmap.data.archive import Saved

__all__ = ["EdgeGauge"]


@dataclasses.dataclass(frozen=True, eq=False)
class EdgeGauge(Saved):
    """Sharpness along a run over the largest that the optimizer's step is stable at.

    Parameters
    ----------
    steps : numpy.ndarray, shape (n,)
        Optimizer steps.
    sharpness : numpy.ndarray, shape (n,)
        What the optimizer feels: λ_max, batch sharpness, or λ_max of the preconditioned Hessian.
    top : numpy.ndarray, shape (n,)
        λ_max of the Hessian itself.
    threshold : float
        The largest stable sharpness at the learning rate.
    kind : str
        What `sharpness` is.
    """

    steps: Array
    sharpness: Array
    top: Array
    threshold: float
    kind: str

    def __post_init__(self) -> None:
        n = len(self.steps)
        for name in ("steps", "sharpness", "top"):
            self._keep(name, (n,))

    @property
    def ratio(self) -> Array:
        """Sharpness over threshold, shape (n,): 1 is the edge."""
        found: Array = self.sharpness / self.threshold
        return found

    @property
    def verdict(self) -> str:
        """The regime of the run's last third in words."""
        late = float(np.median(self.ratio[-max(1, len(self.ratio) // 3) :]))
        text = f"{self.kind} at {late:.2f} of its threshold {self.threshold:.3g}: "
        if np.isnan(late):
            return text + "not a number"
        if late < 0.8:
            return text + "the learning rate is below the edge; larger steps would be stable"
        if late <= 1.2:
            return text + "the run is at the edge of stability"
        return text + "beyond the edge; the valley is not the quadratic it seems, or the run diverges"
