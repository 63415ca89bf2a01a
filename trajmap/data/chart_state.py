"""A fitted chart as it is kept: a class's name, its parameters and what the fit found."""

import dataclasses
from typing import Any

from trajmap._validation import worded
from trajmap.data.archive import Saved
from trajmap.errors import InputError

__all__ = ["ChartState"]


@dataclasses.dataclass(frozen=True, eq=False)
class ChartState(Saved):
    """What ``trajmap.reduction.state.state_of`` reads from a fitted estimator, as a file keeps it.

    Parameters
    ----------
    state : dict
        ``class``, ``parameters`` and ``fitted``: arrays, plain values, tuples and dicts of them.
    name : str
        What the chart is called.

    Raises
    ------
    InputError
        If one of the three is missing.
    """

    state: dict[str, Any]
    name: str = ""

    def _check(self) -> None:
        if not {"class", "parameters", "fitted"} <= self.state.keys():
            raise InputError(worded("state", "class, parameters and fitted attributes", sorted(self.state)))
