"""Claims about a run: an effect, its nulls, and whether the effect exceeds them."""

import dataclasses
from typing import Annotated, Self

import numpy as np

from trajmap._validation import Array, worded
from trajmap.data.archive import Saved
from trajmap.data.shapes import Shape
from trajmap.errors import InputError

__all__ = ["ALPHA", "Claim"]

ALPHA = 0.05
"""A claim holds if the corrected p-value is at most this."""


@dataclasses.dataclass(frozen=True, eq=False)
class Claim(Saved, rows=("n_nulls", "n_draws")):
    """One claim: the size of an effect, the same number of surrogates, and what follows.

    A claim holds only if the effect exceeds every null, after a correction for the number of alternatives. It is
    unknown if a null has too few draws for p ≤ 0.05, if the value is not finite, or if a reason is given. A claim that
    does not hold is no evidence for its opposite.

    Parameters
    ----------
    name : str
        Name of the claim, such as ``"order matters"``.
    value : float
        Size of the effect; larger is stronger.
    draws : numpy.ndarray, shape (n_nulls, n_draws)
        The same number for the surrogates of each null; NaN for a missing one.
    nulls : tuple of str
        A name for each null.
    low, high : float
        90 % interval of the value; NaN if unknown.
    tried : int
        Number of alternatives from which the best was chosen: p-values are multiplied by it (Bonferroni).
    parts : dict of float
        Other numbers that belong to the claim.
    reason : str
        Reason why the claim could not be tested; empty if it was.

    Examples
    --------
    >>> claim = Claim("order matters", 2.0, np.arange(19.0)[None] / 19, ("shuffled steps",))
    >>> claim.holds, claim.p.round(3).tolist()
    ('yes', [0.05])
    >>> Claim("order matters", 2.0, np.zeros((1, 2)), ("shuffled steps",)).holds
    'unknown'
    """

    name: str
    value: float
    draws: Annotated[Array, Shape("n_nulls", "n_draws")]
    nulls: Annotated[tuple[str, ...], Shape("n_nulls")]
    low: float = np.nan
    high: float = np.nan
    tried: int = 1
    parts: dict[str, float] = dataclasses.field(default_factory=dict)
    reason: str = ""

    def _check(self) -> None:
        if self.tried < 1:
            raise InputError(worded("tried", "an integer ≥ 1", self.tried))

    @classmethod
    def untested(cls, name: str, reason: str, nulls: tuple[str, ...] = (), *, tried: int = 1) -> Self:
        """Make an untested claim with its reason."""
        return cls(name, np.nan, np.empty((len(nulls), 0)), nulls, tried=tried, reason=reason)

    @property
    def p(self) -> Array:
        """Corrected one-sided p-value of each null, (n_nulls,); NaN without a value or with too few draws.

        The share of draws at or above the value, including the value itself, times `tried`.
        """
        found = np.full(len(self.nulls), np.nan)
        for i, row in enumerate(self.draws):
            known = row[np.isfinite(row)]
            if np.isfinite(self.value) and self.tried / (len(known) + 1) <= ALPHA:
                found[i] = min(1.0, self.tried * (1 + np.sum(known >= self.value)) / (len(known) + 1))
        return found

    @property
    def hardest(self) -> int:
        """The null nearest to the value: the one with the largest p, and among equal ones the largest draws."""
        middle = [np.nanmedian(row) if np.isfinite(row).any() else np.nan for row in self.draws]
        order = np.lexsort((np.nan_to_num(middle, nan=-np.inf), np.nan_to_num(self.p, nan=2.0)))
        return int(order[-1])

    @property
    def holds(self) -> str:
        """``"yes"``, ``"no"`` or ``"unknown"``."""
        p = self.p
        if self.reason or not len(p) or not np.isfinite(self.value):
            return "unknown"
        if (p > ALPHA).any():
            return "no"
        return "yes" if np.isfinite(p).all() else "unknown"
