"""What was found, as data: a value, its interval, its null, and whether a claim holds. The sentence is made last."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trajmap.data.claim import ALPHA
from trajmap.data.results.null_test import NullTest

__all__ = ["Finding"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A value, its null, the conclusion, and the words for them.

    Parameters
    ----------
    words : callable
        ``words(finding) -> str`` makes the sentence from the other fields; nothing reads it back.
    value : float
        The number that the finding rests on.
    claim : str
        What is claimed of the run, such as ``"more than a walk"``; empty where a finding only describes.
    holds : str
        ``"yes"``, ``"no"`` or ``"unknown"``; empty where nothing is claimed.
    low, high : float
        Interval of the value; NaN where none is known.
    null : tuple of float
        5 % and 95 % of the value under the null, or a single baseline twice; NaN where there is none.
    p : float
        p-value under the null; NaN where none was computed.
    facts : dict
        Other numbers and names that the sentence needs.
    """

    words: Callable[["Finding"], str]
    value: float = float("nan")
    claim: str = ""
    holds: str = ""
    low: float = float("nan")
    high: float = float("nan")
    null: tuple[float, float] = (float("nan"), float("nan"))
    p: float = float("nan")
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The finding in plain words."""
        return self.words(self)

    @staticmethod
    def of_draws(value: float, draws: Any) -> tuple[tuple[float, float], float, str]:
        """Compare a value with draws of its null: their 5 % and 95 %, the two-sided p, and where the value lies.

        Parameters
        ----------
        value : float
            The value.
        draws : array-like, shape (n,)
            The null; NaN is left out.

        Returns
        -------
        tuple
            (low, high), p, and ``"above"``, ``"below"``, ``"inside"``, or ``"unknown"`` where 2/(n + 1) is more than
            .05 or the value is NaN: too few draws to tell.
        """
        known = np.asarray(draws, dtype=np.float64)
        known = known[np.isfinite(known)]
        if not len(known):
            return (np.nan, np.nan), np.nan, "unknown"
        low, high = (float(q) for q in np.quantile(known, [0.05, 0.95]))
        if not np.isfinite(value) or 2 / (len(known) + 1) > ALPHA:
            return (low, high), np.nan, "unknown"
        p = NullTest(value, known).p
        return (low, high), p, "inside" if p > ALPHA else "above" if value > np.median(known) else "below"
