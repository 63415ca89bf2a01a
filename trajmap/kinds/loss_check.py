"""Whether an objective can be the function that a run recorded."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.results.loss_check import LossCheck
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind, each
from trajmap.plots.loss_check import plot_loss_check

__all__ = ["LOSS_CHECK", "find_loss_check"]


def find_loss_check(check: LossCheck) -> Finding:
    """Whether the objective at the end of the run can be the loss that was recorded there."""
    holds = {True: "yes", False: "no"}.get(check.agrees, "unknown") if check.agrees is not None else "unknown"
    known = len(check.recorded) > 0
    recorded = (float(check.recorded.min()), float(check.recorded.max())) if known else (np.nan, np.nan)
    claim = "the objective is the recorded loss"
    return Finding(_words, check.value, claim, holds, null=recorded, facts={"text": check.text})


def _words(found: Finding) -> str:
    text = str(found.facts["text"])
    return f"{text[0].upper()}{text[1:]}."


def _cautions(found: Mapping[str, LossCheck], context: Context) -> Sequence[Finding]:
    return [
        Finding(_other, one.value, one.claim, one.holds, null=one.null, facts=one.facts)
        for one in map(find_loss_check, found.values())
        if one.holds == "no"
    ]


def _other(found: Finding) -> str:
    return f"The objective is not the loss that was recorded: {found.facts['text']}."


def _example() -> LossCheck:
    return LossCheck(0.24, np.array([0.20, 0.19, 0.21]), "frozen as they are in the model")


LOSS_CHECK = Kind(
    name="loss_check",
    place="loss_check",
    noun=LossCheck,
    order=11,
    section="The run",
    title="Objective and recorded loss",
    definition="The objective at the last iterate and the losses recorded near it. They cannot be one "
    "function if it is above three times the largest or below a third of the least, by over ten times their spread.",
    example=_example,
    plot=plot_loss_check,
    caption=lambda check: "The objective at the end of the run and the losses recorded there.",
    alternative="The objective and the last recorded losses",
    findings=each(find_loss_check),
    cautions=_cautions,
)
