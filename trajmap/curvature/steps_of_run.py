"""The recorded optimizer of a run as rules of stable steps, iterate by iterate."""

from typing import Any

import numpy as np

from trajmap.curvature.stable_steps import (
    Moment,
    StepRule,
    groups_of_entry,
    is_adaptive,
    refusal,
    step_rule,
)
from trajmap.data.places import even_places
from trajmap.data.trajectory import Trajectory
from trajmap.errors import RunFormatError

__all__ = ["StepsOfRun"]

_MOST_RATES = 16  # maximum number of groups with recorded learning rates


class StepsOfRun:
    """The optimizer's step at each iterate of a run, or the reason why it is unknown.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    lr : float or None
        The learning rate, instead of the recorded one.
    """

    def __init__(self, trajectory: Trajectory, lr: float | None) -> None:
        noted = trajectory.settings.get("optimizer")
        several = trajectory.settings.get("optimizers")
        self._entries: list[dict[str, Any]] = [dict(entry) for entry in several] if several else [
            dict(noted) if isinstance(noted, dict) else {}
        ]  # fmt: skip
        self._run, self._lr = trajectory, lr
        self._turns = any(len(entry.get("steps", ())) > 1 for entry in self._entries) or (
            len(self._entries) > 1 and any("n_steps" in entry and "steps" not in entry for entry in self._entries)
        )
        self._moments = trajectory.second_moments
        self._varies = any(np.ptp(_known(trajectory.scalars.get(name))) > 0 for name in ("lr",))

    @property
    def entry(self) -> dict[str, Any]:
        """The recorded description of the last optimizer."""
        return self._entry(-1)

    @property
    def refused(self) -> str:
        """Why the last optimizer is not supported; empty if it is."""
        return self._refusal(self.entry)

    @property
    def says_rate(self) -> bool:
        """Whether a learning rate is known, or not needed because the optimizer is not supported."""
        text = any(
            "lr" in entry or all("lr" in group for group in entry.get("groups", [{}])) for entry in self._entries
        )
        return self._lr is not None or text or bool(self.refused)

    def places(self, many: int) -> list[int]:
        """Choose evenly spaced iterates among those with a known step."""
        known = np.arange(self._run.n_iterates)
        if not self.refused and is_adaptive(self.entry) and len(self._moments):
            known = np.flatnonzero(np.isin(self._run.steps, list(self._moments)))
        return list(known[even_places(len(known), many)])

    def rule(self, place: int) -> StepRule | str:
        """Linearise the step at the iterate of a place.

        Parameters
        ----------
        place : int
            Place of the iterate; negative ones count from the end.

        Returns
        -------
        StepRule or str
            The rule, or why there is none.
        """
        entry = self._entry(place)
        refused = self._refusal(entry)
        if refused:
            return refused
        name = str(entry.get("class", "SGD"))
        n_groups = len(entry.get("groups", [{}]))
        if n_groups > _MOST_RATES and self._lr is None and self._varies:
            return f"{name}: the run has the learning rates of {_MOST_RATES} of its {n_groups} groups"
        rates = [self._lr or self._scalar("lr", i, place) for i in range(n_groups)]
        now = [self._changed(i, place) for i in range(n_groups)]
        moment = None
        step = int(self._run.steps[place])
        if is_adaptive(entry) and step in self._moments:
            try:
                moment = Moment(self._moments[step], self._moments.counts(step))
            except RunFormatError as error:
                return f"{name}: its second moments cannot be read ({error})"
        untrained = self._run.settings.get("untrained", ())
        return step_rule(name, groups_of_entry(entry, rates, now), self._run.layout, moment, untrained)

    def _entry(self, place: int) -> dict[str, Any]:
        number = self._run.scalars.get("optimizer") if len(self._entries) > 1 else None
        which = 0.0 if number is None or np.isnan(number[place]) else number[place]
        return self._entries[min(int(which), len(self._entries) - 1)]

    def _refusal(self, entry: dict[str, Any]) -> str:
        if self._turns:
            names = ", ".join(str(entry.get("class")) for entry in self._entries)
            return f"{names}: alternating optimizers have no common learning rate"
        return refusal(entry)

    def _scalar(self, name: str, group: int, place: int) -> float | None:
        values = self._run.scalars.get(f"{name}_{group}" if group else name)
        return None if values is None or np.isnan(values[place]) else float(values[place])

    def _changed(self, group: int, place: int) -> dict[str, float]:
        found = {name: self._scalar(f"group_{name}", group, place) for name in ("momentum", "weight_decay")}
        return {name: value for name, value in found.items() if value is not None}


def _known(values: Any) -> Any:
    known = np.zeros(1) if values is None else values[np.isfinite(values)]
    return known if len(known) else np.zeros(1)
