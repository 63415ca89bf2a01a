"""What averaging the last iterates of a run gains over the last one, and how far the run fluctuates."""

import dataclasses

import numpy as np

from trajmap.data.archive import Saved

__all__ = ["ValleyHeight"]


@dataclasses.dataclass(frozen=True, eq=False)
class ValleyHeight(Saved):
    """Losses of the last iterate, of the window's mean and on average over it, with the prediction of a quadratic.

    Parameters
    ----------
    last : float
        Loss of the last iterate.
    average : float
        Loss of the mean of the window's iterates.
    mean : float
        Mean loss of the window's iterates.
    low, high : float
        Interval of `gain`, 90 %: over blocks of the window, and over the data's batches where there are several; NaN
        where none is known.
    forecast : float
        ½ tr(H Cov) at the window's mean: the height in a quadratic valley.
    forecast_error : float
        Its standard error; 0 where every direction of the window was multiplied.
    n_iterates : int
        Iterates in the window.
    height_error : float
        Standard error of `height`, from block means of the iterates' losses.

    Examples
    --------
    >>> worse = ValleyHeight(0.2087, 0.2297, 0.2324, -0.025, -0.017, 0.003, 0.001, 14)
    >>> round(worse.gain, 4), round(worse.height, 4), worse.holds
    (-0.021, 0.0027, 'no')
    >>> print(worse)
    no gain by averaging the last 14 iterates: a loss of 0.2297 for the last one's 0.2087, -0.021 [-0.025, -0.017]; \
the run fluctuates 0.0027 above the average (a quadratic valley: 0.003 ± 0.001)
    """

    last: float
    average: float
    mean: float
    low: float
    high: float
    forecast: float
    forecast_error: float
    n_iterates: int
    height_error: float = float("nan")

    @property
    def gain(self) -> float:
        """Loss of the last iterate above that of the average: what averaging gains, negative where it loses."""
        return self.last - self.average

    @property
    def height(self) -> float:
        """Mean loss of the iterates above that of their average: how far the run fluctuates."""
        return self.mean - self.average

    @property
    def holds(self) -> str:
        """Whether averaging gains: ``"yes"`` where the whole interval is above 0, ``"unknown"`` where there is none."""
        if not (np.isfinite(self.gain) and np.isfinite(self.low)):
            return "unknown"
        return "yes" if self.low > 0 else "no"

    def __str__(self) -> str:
        words = {"yes": "a gain", "no": "no gain", "unknown": "a gain is not known"}[self.holds]
        text = (
            f"{words} by averaging the last {self.n_iterates} iterates: a loss of {self.average:.4g} for the last "
            f"one's {self.last:.4g}, {self.gain:+.2g} [{self.low:.2g}, {self.high:.2g}]"
        )
        quadratic = f"a quadratic valley: {self.forecast:.2g} ± {self.forecast_error:.1g}"
        return f"{text}; the run fluctuates {self.height:.2g} above the average ({quadratic})"
